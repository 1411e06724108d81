# %% A decoder block by hand || 手写一个解码器块
# Norm, masked attention, sum, norm, feed-forward, sum: all of it in NumPy, equal to the block that limpid trains.
# ---
# 归一化、带掩码的注意力、相加、归一化、前馈、相加：全用 NumPy 写，与 limpid 训练的块相等。

# %% A block, and its weights || 一个块和它的权重
# GPT-2's block, of width 16 with 2 heads: limpid builds it and draws its weights. We take them as arrays. A model of
# GPT's kind is a stack of these, an embedding before and a head behind.
# ---
# GPT-2 的块，宽 16，两个头：由 limpid 搭好并抽取权重，我们取来当数组用。GPT 一类的模型，就是把它一层层摞起来，前面
# 是嵌入，后面是输出头。
import numpy as np

from limpid.models.gpt import GptConfig
from limpid.models.registry import build

config = GptConfig(vocab_size=50, context=8, d_model=16, n_layer=1, n_head=2, d_ff=64)
model = build(config, seed=0).eval()
block = model.blocks[0]
weights = {name: p.detach().double().numpy() for name, p in block.named_parameters()}
for name, array in weights.items():
    print(f"{name:28}{array.shape}")

# %% Thirty lines || 三十行
# Read it from the bottom: `block_by_hand` is the whole block. `T` words, `D` numbers each, `H` heads of `C`.
# ---
# 从下往上读：`block_by_hand` 就是整个块。`T` 个词，每个 `D` 个数，`H` 个头，每个宽 `C`。
from math import pi

H, C = config.n_head, config.head_dim


def layer_norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return centred / np.sqrt(x.var(-1, keepdims=True) + config.norm_eps) * scale + shift


def linear(x, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / pi) * (x + 0.044715 * x**3)))


def attention(x):
    T, D = x.shape
    q, k, v = linear(x, "attention.qkv").reshape(T, 3, H, C).transpose(1, 2, 0, 3)
    mask = np.triu(np.full((T, T), -np.inf), k=1)
    mixed = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(C) + mask) @ v  # (H, T, C)
    return linear(mixed.swapaxes(0, 1).reshape(T, D), "attention.output")


def feed_forward(x):
    return linear(gelu(linear(x, "feed_forward.up")), "feed_forward.down")


def block_by_hand(x):
    x = x + attention(layer_norm(x, "attention_norm"))
    return x + feed_forward(layer_norm(x, "feed_forward_norm"))


x = np.random.default_rng(0).normal(size=(5, config.d_model))
y = block_by_hand(x)
print(x.shape, "->", y.shape)

# %% Equal to limpid's own || 与 limpid 自己的相等
# The same vectors through the module that is trained.
# ---
# 同样的向量，通过训练用的那个模块。
import torch

from limpid.nn.attention import Context

vectors = torch.tensor(x, dtype=torch.float32)[None]
same = block(vectors, Context(None, None, None))[0].detach().numpy()
print("the same:", np.allclose(y, same, atol=1e-5))

# %% It sees no future || 它看不见未来
# Change the last word: the first four rows stay as they are, to the bit.
# ---
# 换掉最后一个词：前四行一个比特也不变。
changed = x.copy()
changed[-1] = 100.0
print("first four the same:", np.array_equal(block_by_hand(changed)[:4], y[:4]))
print(f"parameters of the block: {sum(a.size for a in weights.values()):,}")
