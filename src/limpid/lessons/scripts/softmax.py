# %% Softmax and temperature || Softmax 与温度
# How a model's scores become probabilities, and what the temperature does to them.
# ---
# 模型给的分数怎样变成概率，温度又改变了什么。

# %% From scores to probabilities || 从分数到概率
# A model gives each candidate a score, the *logit*: any number, positive or negative. Softmax makes probabilities of
# them: take `exp` of each, which is never negative, and divide by the sum, so that together they are 1.
#
# `softmax(x)_i = exp(x_i) / Σ_j exp(x_j)`
#
# The largest score is subtracted first. That changes nothing in the result (it cancels), but `exp(1000)` is more than
# a computer can hold, and `exp(0)` is 1.
# ---
# 模型给每个候选一个分数，叫 *logit*，可正可负。Softmax 把它们变成概率：每个数取 `exp`，得到的都不是负数，
# 再除以总和，加起来就是 1。
#
# `softmax(x)_i = exp(x_i) / Σ_j exp(x_j)`
#
# 先减去最大的分数：结果不变（上下约掉了），但 `exp(1000)` 计算机装不下，`exp(0)` 只是 1。
import numpy as np


def softmax(scores):
    powers = np.exp(scores - np.max(scores))
    return powers / powers.sum()


logits = [2.0, 1.0, 0.1]  # in: numbers(2..12 of -1000..1000): The scores || 分数
probabilities = softmax(np.array(logits))
print("probabilities", probabilities.round(2))
print("sum", probabilities.sum().round(2))

# %% Temperature || 温度
# Before softmax the scores are divided by a temperature. Below 1 the differences grow and the first choice wins more
# often; above 1 they shrink and the rare ones get their turn. Near 0 only the best is left; at very high temperatures
# all are equally likely.
# ---
# 在 softmax 之前，先把分数除以温度。温度小于 1，差距拉大，第一名更常胜出；大于 1，差距缩小，冷门也有机会。
# 接近 0，只剩最好的那个；温度极高，人人机会均等。
from limpid.lessons import draw

temperature = 0.5  # in: number(0.05..10): Temperature || 温度
names = [str(score) for score in logits]
for t in (temperature, 1.0, 2.0):
    print(f"temperature {t}:", softmax(np.array(logits) / t).round(2))
draw.bars(names, softmax(np.array(logits) / temperature), f"temperature {temperature}")

# %% How sure is it? || 它有多确定？
# One number says how undecided a distribution is: its entropy in bits, `H = -Σ p log2 p`. It is 0 where one candidate
# has everything, and `log2 N` where all N are alike. It rises with the temperature.
# ---
# 一个分布有多犹豫，可以用一个数来说：以比特为单位的熵，`H = -Σ p log2 p`。一个候选独占时是 0，N 个候选
# 全都一样时是 `log2 N`。温度越高，熵越大。


def entropy(p):
    return -(p * np.log2(p + 1e-300)).sum()


print(f"bits at temperature 1: {entropy(probabilities):.2f}")
print(f"most that {len(logits)} can have: {np.log2(len(logits)):.2f}")
temperatures = np.linspace(0.1, 5, 50)
entropies = [entropy(softmax(np.array(logits) / t)) for t in temperatures]
draw.curves(temperatures, {"entropy": entropies}, "bits by temperature")
