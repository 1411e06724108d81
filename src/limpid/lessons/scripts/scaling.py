# %% Min-max scaling || 最小最大缩放
# Five marks become numbers from 0 to 1, and why a network likes that.
# ---
# 把五个分数变成 0 到 1 的数，以及网络为什么喜欢这样。

# %% Five marks || 五个分数
# The simplest normalisation: the smallest becomes 0, the largest 1, and all others stand between them as before.
#
# `y = (x - min) / (max - min)`
# ---
# 最简单的归一化：最小的变成 0，最大的变成 1，其余的按原来的间距排在中间。
#
# `y = (x - 最小值) / (最大值 - 最小值)`
import numpy as np

marks = [90.0, 80.0, 70.0, 60.0, 50.0]  # in: numbers(2..16 of -10000..10000): The marks || 分数
x = np.array(marks)
scaled = (x - x.min()) / (x.max() - x.min())
print(scaled)

# %% One outlier || 一个离群值
# One mark of 1,000 presses all others together near 0. Standardising does no better: it too only shifts and stretches,
# and mean and deviation follow the outlier. The median and the distance of the quartiles do not mind it.
# ---
# 只要有一个 1,000 分，其他人就全被挤到 0 附近。标准化也好不到哪去：它同样只是平移和拉伸，均值和标准差都跟着离群值跑。
# 中位数和四分位距就不在乎它。
out = np.append(x, 1000.0)
low, middle, high = np.quantile(out, [0.25, 0.5, 0.75])
print("min-max     ", ((out - out.min()) / (out.max() - out.min())).round(2))
print("standardised", ((out - out.mean()) / out.std()).round(2))
print("quartiles   ", ((out - middle) / (high - low)).round(2))

# %% Why scale at all? || 为什么要缩放？
# Gradient descent on one weight for a number near 1 and one for a number near 1,000 has one learning rate for both: the
# step that suits the first makes the second explode. Here both are fitted to `y = 2 a + 3 b` in 50 steps.
# ---
# 一个输入在 1 左右，另一个在 1,000 左右，梯度下降却只有一个学习率：适合前者的步子，会让后者爆炸。这里用 50 步去拟合
# `y = 2 a + 3 b`。
rng = np.random.default_rng(0)
a, b = rng.uniform(0, 1, 200), rng.uniform(0, 1000, 200)


def fit(inputs, target, rate=0.5):
    w = np.zeros(2)
    for _ in range(50):
        w -= rate * inputs.T @ (inputs @ w - target) / len(target)
    return w


with np.errstate(all="ignore"):
    raw = fit(np.stack([a, b], 1), 2 * a + 3 * b)
even = fit(np.stack([a, b / 1000], 1), 2 * a + 3 * b / 1000)
print("as they are:", "finite" if abs(raw).max() < 1e6 else "exploded")
print("scaled:", even.round(2))
