# %% Positions by sine and cosine || 正弦与余弦位置编码
# How a model that sees a set of words learns their order, at any length, with no weight at all.
# ---
# 模型看到的本是一堆词，怎样知道它们的顺序？不用一个权重，多长都行。

# %% Same tokens, other order || 同样的词元，不同的顺序
# “我爱你” and “你爱我” are the same three tokens. Attention without positions weighs a set: for the word “爱” the
# result is the same in both sentences, to the last digit. So each place adds a vector of its own to its token's.
# ---
# “我爱你”和“你爱我”是同样的三个词元。没有位置的注意力面对的是一个集合：对“爱”来说，两句话的结果完全相同。
# 所以每个位置都要给词元的向量加上一个自己的向量。
import numpy as np

first = "我爱你"  # in: text(2..12): A sentence || 一句话
second = first[::-1]
rng = np.random.default_rng(0)
table = {c: rng.normal(size=16) for c in sorted(set(first))}


def attend(x):
    scores = x @ x.T / np.sqrt(x.shape[1])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) @ x


def embedded(text):
    return np.array([table[c] for c in text])


middle = len(first) // 2
there = second.index(first[middle])
one, other = attend(embedded(first))[middle], attend(embedded(second))[there]
print("same tokens:", sorted(first) == sorted(second))
print("same result:", np.allclose(one, other))

# %% A clock with many hands || 有许多指针的钟
# Even dimensions are sines, odd ones cosines, each pair slower than the one before: the first turns once in about six
# places, the last takes more than 60,000 (Vaswani et al. 2017, section 3.5). Like a clock's hands, together they name
# every place.
#
# `PE(pos, 2i) = sin(pos / 10000^(2i/d))`, `PE(pos, 2i+1) = cos(pos / 10000^(2i/d))`
# ---
# 偶数维是正弦，奇数维是余弦，每一对都比前一对慢：第一对约六个位置转一圈，最后一对要六万多（Vaswani 等 2017，3.5 节）。
# 像钟的许多根指针，合在一起就能说出任何一个位置。
#
# `PE(pos, 2i) = sin(pos / 10000^(2i/d))`，`PE(pos, 2i+1) = cos(pos / 10000^(2i/d))`
from limpid.lessons import draw

length = 50  # in: integer(2..512): Positions || 位置数
half = 16  # in: integer(1..64): Pairs of dimensions, d/2 || 维度对数 d/2


def encode(positions, d):
    speeds = 10000.0 ** (-np.arange(0, d, 2) / d)
    angles = np.asarray(positions)[:, None] * speeds
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(len(angles), d)


pe = encode(range(length), 2 * half)
print(pe.shape)
print(pe[:3, :4].round(4))
draw.matrix(pe, title="a row a position, a column a dimension")

# %% Now the order counts || 现在顺序有关系了
# With the vectors of the places added, “爱” no longer gets the same in both sentences.
# ---
# 加上位置的向量，“爱”在两句话里得到的就不再一样了。
places = encode(range(len(first)), 16)
one = attend(embedded(first) + places)[middle]
other = attend(embedded(second) + places)[there]
print("same result:", np.allclose(one, other))

# %% A shift is a linear map || 平移是线性变换
# Moving by k places turns each pair by a fixed angle. One matrix M, the same for every place, does it:
# `PE(pos + k) = M PE(pos)`. So a layer can learn to look k places back. Checked for every place, and for places far
# beyond what was shown.
# ---
# 移动 k 个位置，就是把每一对转过一个固定的角度。一个对所有位置都相同的矩阵 M 就够了：`PE(pos + k) = M PE(pos)`。
# 所以一层网络能学会“往前看 k 个”。这里对每个位置都验证，远超出上图的位置也成立。
k = 7  # in: integer(1..100): Shift k || 平移 k
d = 2 * half
M = np.zeros((d, d))
for i, speed in enumerate(10000.0 ** (-np.arange(0, d, 2) / d)):
    cos, sin = np.cos(k * speed), np.sin(k * speed)
    M[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[cos, sin], [-sin, cos]]
shifted, far = encode(range(k, length + k), d), encode([100_000 + k], d)
print("at every place:", np.allclose(shifted, pe @ M.T))
print("far beyond:", np.allclose(far, encode([100_000], d) @ M.T))

# %% limpid's own || limpid 自己的
# The module that the 2017 Transformer here is built with.
# ---
# 这里的 2017 年 Transformer 用的就是这个模块。
import torch

from limpid.nn.position import SinusoidalPositions

own = SinusoidalPositions(d)(torch.arange(length)).numpy()
print("the same:", np.allclose(own, pe, atol=1e-5))
