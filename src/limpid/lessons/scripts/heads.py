# %% Multi-head attention || 多头注意力
# Several small attentions side by side, each with an eye for something else, put together by one more matrix.
# ---
# 几个小注意力并排工作，各看各的，最后由一个矩阵合在一起。

# %% Cut, attend, join, project || 切开、注意、拼接、投影
# A model of width D has H heads of width D/H. Each makes its own queries, keys and values, attends, and says D/H
# numbers a word. They are joined to D again, and a last matrix mixes what the heads found. It costs no more than one
# head of full width.
#
# `MultiHead(X) = [head_1, ..., head_H] W_O`
# ---
# 宽度为 D 的模型有 H 个头，每个宽 D/H。各头用自己的查询、键和值，算出每个词的 D/H 个数；拼起来又是 D 个，
# 最后一个矩阵把各头的发现混合。计算量不比一个全宽的头多。
#
# `MultiHead(X) = [head_1, ..., head_H] W_O`
import numpy as np

words = "time flies like an arrow".split()
D, H = 8, 2
rng = np.random.default_rng(1)
X = rng.normal(size=(len(words), D))
W_Q, W_K, W_V, W_O = (rng.normal(size=(D, D)) / np.sqrt(D) for _ in range(4))


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def split(x):  # (T, D) -> (H, T, D/H)
    return x.reshape(len(x), H, D // H).swapaxes(0, 1)


Q, K, V = split(X @ W_Q), split(X @ W_K), split(X @ W_V)
weights = softmax(Q @ K.swapaxes(-1, -2) / np.sqrt(D // H))  # (H, T, T)
heads = weights @ V  # (H, T, D/H)
joined = heads.swapaxes(0, 1).reshape(len(words), D)
output = joined @ W_O
print("Q", Q.shape, " weights", weights.shape, " heads", heads.shape)
print("joined", joined.shape, " output", output.shape)

# %% Two heads look at different words || 两个头看不同的词
# The same sentence, two patterns. Here they are random; in a trained model one finds heads that look at the previous
# word, at the beginning, at the same word earlier in the text.
# ---
# 同一句话，两种图案。这里是随机的；训练好的模型里，有的头盯着前一个词，有的盯着开头，有的盯着前文里相同的词。
from limpid.lessons import draw

print("each row sums to", weights.sum(axis=-1).round(6).min())
for head in range(H):
    draw.matrix(weights[head], words, words, f"head {head + 1}")

# %% The same from torch || 与 torch 相同
# `torch.nn.functional.multi_head_attention_forward` with the same matrices. It keeps a matrix as (out, in), so ours
# are transposed.
# ---
# 同样的矩阵交给 `torch.nn.functional.multi_head_attention_forward`。它的矩阵是 (出, 入)，所以要转置。
import torch
from torch.nn.functional import multi_head_attention_forward

x = torch.tensor(X)[:, None]  # (T, batch, D)
matrix = torch.tensor(np.concatenate([W_Q, W_K, W_V], axis=1).T)
theirs, _ = multi_head_attention_forward(x, x, x, D, H, matrix, None, None, None, False, 0.0, torch.tensor(W_O.T), None)
print("the same:", np.allclose(theirs[:, 0].numpy(), output))

# %% What it costs || 要多少参数
# Four matrices of D x D, whatever the number of heads. For the width of the 2017 Transformer and of GPT-3:
# ---
# 不管几个头，都是四个 D×D 的矩阵。2017 年的 Transformer 和 GPT-3 的宽度：
for name, d, h in (("Transformer 2017", 512, 8), ("GPT-3", 12_288, 96)):
    print(f"{name}: {h} heads of {d // h}, {4 * d * d:,} weights a layer")
