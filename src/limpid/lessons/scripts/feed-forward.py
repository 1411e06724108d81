# %% The feed-forward layer || 前馈层
# Wide, bent, narrow again: where two thirds of a model's weights live.
# ---
# 先变宽，弯一下，再变窄：模型三分之二的权重都在这里。

# %% W2 ReLU(W1 x + b1) + b2 || W2 ReLU(W1 x + b1) + b2
# After attention has brought words together, each word is worked on alone: 512 numbers become 2,048, every negative
# one of them is set to 0 (ReLU), and 2,048 become 512 again (Vaswani et al. 2017, equation 2). Without the bend in
# between, two matrices would be one.
# ---
# 注意力让词与词交换信息之后，每个词再单独加工：512 个数变成 2,048 个，负数全变成 0（ReLU），再变回 512 个
# （Vaswani 等 2017，公式 2）。中间如果不弯这一下，两个矩阵就等于一个。
import numpy as np

d_model, d_ff = 512, 2048
rng = np.random.default_rng(0)
W1, b1 = rng.normal(size=(d_ff, d_model)) / np.sqrt(d_model), np.zeros(d_ff)
W2, b2 = rng.normal(size=(d_model, d_ff)) / np.sqrt(d_ff), np.zeros(d_model)
x = rng.normal(size=d_model)
hidden = np.maximum(W1 @ x + b1, 0)
y = W2 @ hidden + b2
print(x.shape, "->", hidden.shape, "->", y.shape)
print(f"neurons at 0: {(hidden == 0).mean():.0%}")

# %% Two matrices in a row are one || 连着两个矩阵等于一个
# Without ReLU: `W2 (W1 x) = (W2 W1) x`. The whole layer would be a single 512 x 512 matrix.
# ---
# 去掉 ReLU：`W2 (W1 x) = (W2 W1) x`，整层就只是一个 512×512 的矩阵。
print("the same:", np.allclose(W2 @ (W1 @ x), (W2 @ W1) @ x))
print("one matrix:", (W2 @ W1).shape)

# %% Counted || 数一数
# Weights and biases of the layer: `2 d_model d_ff + d_ff + d_model`. GPT-3 is 12,288 wide and 49,152 within. Beside
# it, what attention has (four matrices with biases), and the share of the two that is the feed-forward layer's.
# ---
# 这一层的权重和偏置：`2 d_model d_ff + d_ff + d_model`。GPT-3 宽 12,288，中间 49,152。旁边是注意力的参数
# （四个矩阵加偏置），以及前馈层在两者中占的份额。
for name, d, f in (("Transformer 2017", 512, 2048), ("GPT-3", 12_288, 49_152)):
    feed_forward, attention = 2 * d * f + f + d, 4 * (d * d + d)
    share = feed_forward / (feed_forward + attention)
    print(f"{name}: {feed_forward:,} and {attention:,}: {share:.1%}")

# %% limpid's layer || limpid 的层
# The same weights in the layer that its models are made of.
# ---
# 同样的权重，放进组成它的模型的那一层。
import torch

from limpid.nn.feedforward import FeedForward

layer = FeedForward(d_model, d_ff, "relu", bias=True).double()
with torch.no_grad():
    for part, values in ((layer.up.weight, W1), (layer.up.bias, b1)):
        part.copy_(torch.tensor(values))
    for part, values in ((layer.down.weight, W2), (layer.down.bias, b2)):
        part.copy_(torch.tensor(values))
print("the same:", np.allclose(layer(torch.tensor(x)).detach().numpy(), y))
print(f"parameters: {sum(p.numel() for p in layer.parameters()):,}")
