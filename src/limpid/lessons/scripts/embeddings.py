# %% One-hot and embeddings || 独热与嵌入
# A word as a place in a space: near what it resembles, and with directions that mean something.
# ---
# 把词变成空间里的一个点：像什么就靠近什么，连方向也有含义。

# %% One-hot: every word equally far || 独热：谁和谁都一样远
# The simplest vector of a word has as many dimensions as there are words, and one 1. All of them are at right angles:
# a cat is no nearer to a dog than to a car.
# ---
# 词最简单的向量：有多少个词就有多少维，只有一个 1。任意两个都垂直：猫离狗，并不比离汽车近。
import numpy as np

animals = ["cat", "dog", "fish"]
one_hot = np.eye(len(animals), dtype=int)
for name, row in zip(animals, one_hot, strict=True):
    print(name, row)
print("cat . dog =", one_hot[0] @ one_hot[1])

# %% A table of 10,000 x 300 || 一张 10,000×300 的表
# An embedding is a table with a row for each word of the vocabulary. Multiplying the one-hot vector with it picks a
# row; nobody multiplies, one looks it up.
# ---
# 嵌入就是一张表，词表里每个词一行。拿独热向量乘它，等于取出一行；没人真去乘，直接查表。
rng = np.random.default_rng(0)
table = rng.normal(size=(10_000, 300)).astype(np.float32)
word = 4_217  # in: integer(0..9999): The word's number || 词的编号
hot = np.zeros(10_000, dtype=np.float32)
hot[word] = 1
print("one product with the table: the row", np.allclose(hot @ table, table[word]))
print(f"numbers in it: {table.size:,}; multiplications saved: {table.size:,} a word")

# %% Where vectors come from || 向量从哪里来
# "You shall know a word by the company it keeps" (Firth 1957). Count which words stand together in a sentence, take the
# surprise of each pair (pointwise mutual information, never below 0), and keep the strongest directions (a singular
# value decomposition). Skip-gram, which `limpid skipgram` trains, does about the same by gradient descent (Levy and
# Goldberg 2014).
# ---
# “观其伴，知其词”（Firth 1957）。数一数哪些词同句出现，算出每一对有多出人意料（点互信息，不低于 0），再保留最强的
# 几个方向（奇异值分解）。`limpid skipgram` 训练的 skip-gram 用梯度下降做的大致是同一件事（Levy 与 Goldberg 2014）。
text = """
the king is a man on the throne . the queen is a woman on the throne .
the king rules as a man . the queen rules as a woman . a prince is a young man
of the throne . a princess is a young woman of the throne . the man has a beard .
the woman has a braid . the king has a beard . the queen has a braid .
the cat is a pet with fur . the dog is a pet with fur . a cat eats meat .
a dog eats meat . the cat sleeps at home . the dog sleeps at home .
the car is a machine with wheels . the bus is a machine with wheels .
a car needs fuel . a bus needs fuel . the car drives on the road .
the bus drives on the road .
"""
common = {"the", "a", "is", "on", "of", "with", "at", "as", "has"}
sentences = [[w for w in line.split() if w not in common] for line in text.replace("\n", " ").split(".")]
vocabulary = sorted({w for sentence in sentences for w in sentence})
place = {w: i for i, w in enumerate(vocabulary)}
counts = np.zeros((len(vocabulary), len(vocabulary)))
for sentence in sentences:
    for one in sentence:
        for other in sentence:
            counts[place[one], place[other]] += one != other
expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
surprise = np.log(np.maximum(counts, 1e-12) / expected).clip(min=0)
u, strength, _ = np.linalg.svd(surprise)
vectors = u[:, :10] * strength[:10] ** 0.5
print(len(vocabulary), "words,", vectors.shape[1], "numbers each")

# %% Near and far || 远与近
# The cosine of two vectors says how much they point the same way: 1 the same, 0 nothing in common.
# ---
# 两个向量夹角的余弦说的是它们有多同向：1 是完全相同，0 是毫无关系。
from limpid.lessons import draw


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def vector(w):
    return vectors[place[w]]


for one, other in (("cat", "dog"), ("cat", "car"), ("king", "queen")):
    print(f"{one}, {other}: {cosine(vector(one), vector(other)):.2f}")
shown = ["king", "queen", "man", "woman", "cat", "dog", "car", "bus"]
draw.matrix([[cosine(vector(a), vector(b)) for b in shown] for a in shown], shown, shown)

# %% king - man + woman || 国王 - 男人 + 女人
# The way from man to woman is about that from king to queen. The three words that were asked with do not count as
# answers. With vectors learned from real text: `limpid skipgram words`, then `limpid embed RUN analogy`.
# ---
# 从男人到女人的路，大致就是从国王到女王的路。提问用到的三个词不算答案。想用真实文本学到的向量：先
# `limpid skipgram words`，再 `limpid embed`。
asked = vector("king") - vector("man") + vector("woman")
found = {w: cosine(asked, vector(w)) for w in vocabulary if w not in ("king", "man", "woman")}
best = sorted(found, key=found.get, reverse=True)[:3]
print("king - man + woman =", best[0])
draw.bars(best, [found[w] for w in best])
