# %% Query, key, value || 查询、键、值
# Scaled dot-product attention in ten lines of NumPy, on numbers that one can change.
# ---
# 用十行 NumPy 写出缩放点积注意力，数字都可以改。

# %% Three vectors of each word || 每个词的三个向量
# You look for a recipe (the query) among the labels of a shelf (the keys) and take home what lies behind them (the
# values). In attention every word does this at once. Three matrices make its query, key and value out of its vector
# `x`: `Q = X W_Q`, `K = X W_K`, `V = X W_V`. The words here have vectors of four numbers, queries and keys of three.
# ---
# 你带着想做的菜（查询）去看书架上的标签（键），再拿走标签后面的书（值）。注意力里每个词同时这样做。
# 三个矩阵从词的向量 `x` 得到它的查询、键和值：`Q = X W_Q`，`K = X W_K`，`V = X W_V`。
# 这里每个词的向量有四个数，查询和键各三个。
import numpy as np

words = ["time", "flies", "like"]
X = [[1.0, 0.0, 1.0, 0.0], [0.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]]  # in: matrix(-9..9): X, the words || X，词
W_Q = [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]  # in: matrix(-9..9): W_Q || W_Q
W_K = [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]  # in: matrix(-9..9): W_K || W_K
W_V = [[0.0, 2.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 3.0], [1.0, 1.0, 0.0]]  # in: matrix(-9..9): W_V || W_V
Q, K, V = np.array(X) @ W_Q, np.array(X) @ W_K, np.array(X) @ W_V
print("Q\n", Q, "\nK\n", K, "\nV\n", V, sep="")

# %% Scores: every query with every key || 打分：每个查询遇到每个键
# A dot product is large where two vectors point the same way. `Q K^T` holds all of them: row i, column j says how well
# the query of word i fits the key of word j. For a matrix the transpose is `K.T`; where there are batches and heads
# in front, only the last two axes may change places: `K.swapaxes(-1, -2)`, which is right in both cases. They are
# divided by `sqrt(d_k)`: sums of d_k products have a deviation of about that, and softmax would be too sure of itself.
# ---
# 两个向量方向越一致，点积越大。`Q K^T` 装着全部点积：第 i 行第 j 列，是词 i 的查询与词 j 的键有多合。
# 对一个矩阵，转置是 `K.T`；前面若还有批和头，只能交换最后两个轴：`K.swapaxes(-1, -2)`，两种情形都对。
# 再除以 `sqrt(d_k)`：d_k 个乘积之和的标准差大约就是它，不除的话 softmax 会太自信。
d_k = K.shape[-1]
scores = Q @ K.swapaxes(-1, -2) / np.sqrt(d_k)
print(scores.round(2))

# %% Weights, and what they fetch || 权重，以及取回的东西
# Softmax makes each row sum to 1: the share of its attention that a word gives to each word. What it gets is the mean
# of the values, weighted by that.
#
# `Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V`
# ---
# Softmax 让每一行加起来等于 1：一个词把注意力分给每个词的份额。它得到的，是各个值按份额的加权平均。
#
# `Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V`
from limpid.lessons import draw


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


weights = softmax(scores)
output = weights @ V
print("output\n", output.round(2), sep="")
draw.matrix(weights, words, words, "weights")

# %% The same from the kernel that trains || 与训练时用的内核相同
# limpid's models compute this with `ExplicitKernel`. Its shapes have a batch and heads in front: (1, 1, 3, 3).
# ---
# limpid 的模型用 `ExplicitKernel` 算同一件事。它的形状前面多了批和头：(1, 1, 3, 3)。
import torch

from limpid.nn.attention import ExplicitKernel

q, k, v = (torch.tensor(np.array(one))[None, None] for one in (Q, K, V))
no_mask = torch.zeros(len(X), len(X), dtype=torch.float64)
same = ExplicitKernel(dropout=0.0).eval()(q, k, v, no_mask)[0, 0].numpy()
print("the same:", np.allclose(same, output))
