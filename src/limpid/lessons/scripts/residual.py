# %% Residual connections || 残差连接
# A part adds to what came in instead of replacing it: so a hundred layers can be trained.
# ---
# 每一部分只往输入上加，而不是替换它：于是一百层也能训练。

# %% x + f(x) || x + f(x)
# A layer that has nothing to say can say 0, and its input goes on unharmed. Sixty random layers with and without the
# connection: without it what went in is gone, with it the result still looks like it. The number is the cosine between
# what goes in and what comes out.
# ---
# 一层若没什么可说，说 0 就行，输入原样通过。六十个随机的层，有和没有这条连接：没有，输入的痕迹就没了；有，
# 结果仍像原来。打印的是输入与输出夹角的余弦。
import numpy as np

depth, d = 60, 64
rng = np.random.default_rng(0)
layers = [rng.normal(size=(d, d)) / np.sqrt(d) for _ in range(depth)]
x = rng.normal(size=d)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


plain = residual = x
for W in layers:
    plain = np.tanh(W @ plain)
    residual = residual + 0.1 * np.tanh(W @ residual)
print(f"without {cosine(x, plain):.2f}, with {cosine(x, residual):.2f}")

# %% The gradient finds its way back || 梯度回得来
# Training sends a gradient from the last layer to the first. Each plain layer multiplies it by a matrix with bends in
# it; sixty of these leave next to nothing. Through `x + f(x)` the derivative is `1 + f'(x)`, and the 1 is a road
# without tolls.
# ---
# 训练时梯度要从最后一层传回第一层。普通的层每次都乘一个带弯折的矩阵，六十次之后几乎什么都不剩。而 `x + f(x)` 的
# 导数是 `1 + f'(x)`，那个 1 就是一条不收费的路。
from limpid.lessons import draw


def gradients(keep, share):
    states = [x]
    for W in layers:
        states.append(keep * states[-1] + share * np.tanh(W @ states[-1]))
    gradient, sizes = np.ones(d) / np.sqrt(d), []
    for W, state in zip(reversed(layers), reversed(states[:-1]), strict=True):
        slope = 1 - np.tanh(W @ state) ** 2
        gradient = keep * gradient + share * (W.T @ (slope * gradient))
        sizes.append(np.linalg.norm(gradient))
    return sizes


without, with_it = gradients(keep=0, share=1), gradients(keep=1, share=0.1)
print(f"at the first layer: {without[-1]:.3f} without, {with_it[-1]:.2f} with")
draw.curves(range(1, depth + 1), {"without": without, "with": with_it}, "size, going back")

# %% Around each part of a block || 包住每个部分
# In a Transformer block attention and feed-forward each have one, and a norm: after the sum in 2017 (post-norm), before
# the part ever since GPT-2 (pre-norm), so that nothing stands on the road. With its last matrix at zero, a pre-norm
# block is the identity: limpid's models begin so.
# ---
# Transformer 的一个块里，注意力和前馈各有一条，还各带一个归一化：2017 年放在相加之后（post-norm），GPT-2 起放在
# 部分之前（pre-norm），这样路上再没有东西挡着。把最后一个矩阵设为零，pre-norm 的块就是恒等映射。
import torch

from limpid.nn.attention import Attention, Context
from limpid.nn.block import PreNormBlock
from limpid.nn.feedforward import FeedForward
from limpid.nn.norm import LayerNorm

torch.manual_seed(0)
block = PreNormBlock(
    Attention(d, 4, 4, d // 4, dropout=0.0, output_std=0.0),
    FeedForward(d, 4 * d, "relu", output_std=0.0), LayerNorm(d), LayerNorm(d), dropout=0.0,
)  # fmt: skip
for part in block.modules():
    if hasattr(part, "reset_parameters"):
        part.reset_parameters()
stream = torch.randn(1, 5, d)
print("identity:", torch.equal(block(stream, Context(None, None, None)), stream))
