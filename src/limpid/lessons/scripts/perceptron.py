# %% The perceptron || 感知机
# One neuron decides whether to go to the cinema, then learns from 10,000 people how they decide.
# ---
# 一个神经元决定要不要去看电影，再从一万个人的习惯里学会他们怎样决定。

# %% Reasons, weights, a threshold || 理由、权重、阈值
# The weather counts 8, the price 4, a companion 4. Each reason that is there adds its weight, and one goes where the
# sum is above 8 (Rosenblatt 1958). Eight cases in all.
# ---
# 天气算 8，票价算 4，有人陪算 4。有哪个理由，就加上它的权重；总和超过 8 就去（Rosenblatt 1958）。一共八种情形。
import numpy as np

weights = [8.0, 4.0, 4.0]  # in: numbers(3..3 of -20..20): Weather, price, companion || 天气、票价、同伴
threshold = 8.0  # in: number(-20..20): Threshold || 阈值
print("weather price companion")
for case in np.ndindex(2, 2, 2):
    reasons = 1 - np.array(case)
    total = reasons @ weights
    print(reasons, f"{total:g}", "go" if total > threshold else "stay")

# %% 10,000 people || 一万个人
# Nobody knows their weights. What one sees: how good weather and price were for each, whether there was a companion,
# and whether they went. They are made up by the rule above with a mood of their own added, so that one can see
# whether it is found again.
# ---
# 没人知道自己的权重。看得到的是：每个人那天的天气和票价有多好，有没有人陪，去了没有。数据是按上面的规则加上各人的心情
# 造出来的，这样才能检验规则有没有被找回来。
from limpid.lessons.perceptron import Decision, people

habits = people(rule=Decision(tuple(weights), threshold))
print(f"{len(habits.went):,} people, {(habits.went > 0).mean():.0%} went")

# %% The rule of 1958 || 1958 年的规则
# Wherever the decision is wrong, move each weight by its reason towards the right one. Ten lines. A decision stays the
# same if all numbers are multiplied alike, so the threshold is called what it was. Moods cannot be separated by any
# line, so the rule is pushed about to the last: it stops somewhere near.
# ---
# 判断错了，就把每个权重按它的理由往对的方向挪一点。十行代码。所有数一起乘几倍，判断不变，所以把阈值换算回原来的值。
# 心情是哪条线也分不开的，所以规则直到最后都被推来推去，停在附近的某处。
w, t = np.zeros(3), 0.0
for reasons, went in zip(habits.reasons, habits.went, strict=True):
    says = 1 if reasons @ w > t else -1
    if says != went:
        w = w + 0.1 * went * reasons
        t = t - 0.1 * went
right = ((habits.reasons @ w > t) == (habits.went > 0)).mean()
print("learned", (w * threshold / t).round(1), f"right {right:.1%}")

# %% By gradient descent || 用梯度下降
# Softer: the sum becomes a probability of going (a sigmoid), and the weights go down the slope of its cross-entropy. It
# does not jump about, and finds what was put in nearly to the digit. The rule behind the habits gets no more right:
# what is left is mood.
# ---
# 换个温和的办法：把总和变成“去”的概率（sigmoid），权重顺着交叉熵的坡往下走。它不跳来跳去，几乎原样找回放进去的数。
# 造数据的规则本身也不会更准：剩下的是心情。
from limpid.lessons import draw

inputs = np.column_stack([habits.reasons, -np.ones(len(habits.went))])
v = np.zeros(4)
curve = []
for _ in range(300):
    sure = 1 / (1 + np.exp(-(inputs @ v)))
    correct = np.where(habits.went > 0, sure, 1 - sure)
    curve.append(-np.log(correct.clip(min=1e-300)).mean())
    v -= 10.0 * inputs.T @ (sure - (habits.went > 0)) / len(inputs)
right = ((inputs @ v > 0) == (habits.went > 0)).mean()
known = habits.right(Decision(tuple(weights), threshold))
print("learned", (v[:3] * threshold / v[3]).round(1), f"right {right:.1%}, by the rule {known:.1%}")
draw.curves(range(300), {"loss": curve}, "loss by step")

# %% Where one line is not enough || 一条线不够的地方
# A neuron cuts with one straight line. For exclusive or (one of two, but not both) there is none: of a million random
# lines the best gets three of the four cases. Layers with a bend between them can; see the playground.
# ---
# 一个神经元只能用一条直线来分。对异或（两者取一，但不能都取）不存在这样的线：一百万条随机的线里，最好的也只对四个里的
# 三个。中间带弯折的多层网络就行，见“游乐场”。
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
either = np.array([False, True, True, False])
rng = np.random.default_rng(0)
lines, cuts = rng.normal(size=(1_000_000, 2)), rng.normal(size=1_000_000)
agree = ((lines @ corners.T > cuts[:, None]) == either).sum(1)
print("best line:", agree.max(), "of 4")
