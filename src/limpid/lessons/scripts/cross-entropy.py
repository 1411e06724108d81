# %% Cross-entropy and maximum likelihood || 交叉熵与最大似然
# What "training a language model" makes smaller, and why counting words already solves it for the simplest one.
# ---
# “训练语言模型”到底在减小什么，为什么对最简单的模型，数一数词就够了。

# %% The loss of one word || 一个词的损失
# The model gives every candidate a probability; what really came next had probability p. The loss is `-ln p`: 0 where
# it was certain, large where it was surprised. In bits it is `-log2 p`.
# ---
# 模型给每个候选一个概率，真正出现的那个词的概率是 p。损失就是 `-ln p`：有把握时是 0，意外时很大。换成比特是 `-log2 p`。
import numpy as np

scores = [2.0, 1.0, 0.1]  # in: numbers(2..12 of -100..100): Scores || 分数
right = 0  # the place of what came next
x = np.array(scores)
p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
print("p", p.round(3))
print(f"loss {-np.log(p[right]):.3f}, bits {-np.log2(p[right]):.3f}")

# %% Its gradient is p - 1 || 它的梯度是 p - 1
# For the scores the gradient could not be simpler: the probabilities, minus 1 at the right place. Every wrong candidate
# is pushed down as far as it was believed, the right one is pulled up by what it lacked. Checked by moving each score a
# little.
# ---
# 对分数的梯度再简单不过：概率，在正确处减 1。每个错的候选，信了多少就往下推多少；对的那个，差多少就往上拉多少。
# 用“每个分数挪一点点”来验证。
gradient = p.copy()
gradient[right] -= 1


def loss(scores):
    scores = scores - scores.max()
    return np.log(np.exp(scores).sum()) - scores[right]


small = 1e-6
moved = [(loss(x + small * row) - loss(x - small * row)) / (2 * small) for row in np.eye(len(x))]
print("gradient", gradient.round(3))
print("by moving", np.round(moved, 3))

# %% Likelihood of a text || 一段文本的似然
# The probability of a text is the product of those of its words, each given what came before. Products of thousands of
# small numbers are 0 on a computer, so one sums logarithms. Largest likelihood and smallest mean loss are the same
# thing. `exp(loss)` is the perplexity: among how many equally likely words the model hesitates.
# ---
# 文本的概率，是每个词在前文之下的概率的乘积。成千上万个小数相乘，在计算机里就是 0，所以改为对数相加。似然最大与平均
# 损失最小是一回事。`exp(损失)` 叫困惑度：模型相当于在多少个同样可能的词之间犹豫。
from itertools import pairwise

text = "the cat sat on the mat the cat sat on the sofa the dog sat on the mat".split()
words = sorted(set(text))
counts = np.zeros((len(words), len(words)))
pairs = list(pairwise(text))
for one, other in pairs:
    counts[words.index(one), words.index(other)] += 1
bigram = counts / counts.sum(1, keepdims=True).clip(min=1)


def mean_loss(table):
    return -np.mean([np.log(table[words.index(a), words.index(b)]) for a, b in pairs])


print("after 'the':", {w: round(float(q), 2) for w, q in zip(words, bigram[words.index("the")], strict=True) if q})
uniform = np.full_like(bigram, 1 / len(words))
for name, table in (("all alike", uniform), ("counted", bigram)):
    print(f"{name}: loss {mean_loss(table):.3f}, perplexity {np.exp(mean_loss(table)):.2f}")

# %% Gradient descent finds the counts || 梯度下降找到的就是计数
# Begin with all scores 0 and go downhill: the loss falls to that of counting and no further, for counting *is* the
# maximum of the likelihood. A Transformer does this with a table that no memory could hold.
# ---
# 从全 0 的分数开始往下走：损失降到“数出来”的那个值就停住，因为计数*就是*似然的最大值。Transformer 做的是同一件事，
# 只是那张表大得没有内存装得下。
from limpid.lessons import draw

scores_table = np.zeros_like(counts)
rows = counts.sum(1, keepdims=True)
losses = []
for _ in range(400):
    powers = np.exp(scores_table - scores_table.max(1, keepdims=True))
    table = powers / powers.sum(1, keepdims=True)
    losses.append(mean_loss(table))
    scores_table -= 2.0 * (rows * table - counts) / rows.clip(min=1)
print(f"after 400 steps {losses[-1]:.3f}, counted {mean_loss(bigram):.3f}")
draw.curves(range(1, 401), {"learned": losses, "counted": [mean_loss(bigram)] * 400}, "loss by step")
