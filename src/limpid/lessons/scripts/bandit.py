# %% Pretraining, fine-tuning, reinforcement learning || 预训练、微调、强化学习
# Three ways of teaching the same small policy, on the smallest problem there is: four answers to one question.
# ---
# 用三种方式教同一个小策略，问题也小到不能再小：一个问题，四种回答。

# %% Pretraining: say what people say || 预训练：别人怎么说就怎么说
# A policy is a row of scores and their softmax. Pretraining raises the likelihood of text as it is found; it has
# learned when it says each answer as often as the text does. Nobody said which answer is good.
# ---
# 一个策略就是一行分数和它们的 softmax。预训练提高现成文本的似然；学会的标志，是每种回答出现的频率和文本里一样。
# 哪个回答好，没有人说过。
import numpy as np

answers = ["helpful", "rambling", "rude", "wrong"]
found = np.array([20, 50, 20, 10])  # how often each stands in the text


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


theta = np.zeros(4)
for _ in range(500):
    theta += 0.5 * (found / found.sum() - softmax(theta))  # gradient of the log-likelihood
pretrained = softmax(theta)
print("pretrained", pretrained.round(2))

# %% Fine-tuning: copy good answers || 微调：照着好回答学
# Then people write answers themselves. It is the same loss on other, labelled data: fewer, and better. The policy gets
# to where that data is, starting from what it knew.
# ---
# 然后请人来写回答。还是同一个损失，只是换成有标注的数据：更少，但更好。策略从已知的出发，走到那些数据所在的地方。
written = np.array([8, 2, 0, 0])
for _ in range(12):
    theta += 0.5 * (written / written.sum() - softmax(theta))
tuned = softmax(theta)
print("fine-tuned", tuned.round(2))

# %% Reinforcement learning: try, and be told how good it was || 强化学习：试一试，再听评价
# To judge is easier than to write. The policy answers, a reward R says how good that was, and the expected reward
# `E[R(x)]` under the policy itself is raised. Its gradient: an answer's score rises by its probability times how much
# better than the average it is. `∂E[R]/∂θ_i = p_i (R_i - E[R])`.
# ---
# 评判比写作容易。策略作答，奖励 R 说这有多好，要提高的是在策略自身之下的期望奖励 `E[R(x)]`。它的梯度：一个回答的分数，
# 按“概率 × 比平均好多少”上升。`∂E[R]/∂θ_i = p_i (R_i - E[R])`。
from limpid.lessons import draw

reward = [1.0, 0.3, -0.5, -1.0]  # in: numbers(4..4 of -2..2): Rewards || 奖励
R = np.array(reward)
rl, curve = theta.copy(), []
for _ in range(60):
    p = softmax(rl)
    curve.append(p @ R)
    rl += 1.0 * p * (R - p @ R)
print("after RL", softmax(rl).round(2))
print(f"expected reward {pretrained @ R:.2f} pretrained, {tuned @ R:.2f} fine-tuned, {softmax(rl) @ R:.2f} after RL")
draw.curves(range(60), {"E[R]": curve}, "expected reward by step")

# %% From samples || 从抽样估计
# Nobody can sum over all texts. REINFORCE draws some: for each the gradient of `ln p(x)` times its reward (Williams
# 1992). On average that is right however few are drawn. Add 10 to every reward: which answer is best has not changed,
# but each sample is over a hundred times as noisy. Taking the mean reward away first (a baseline) undoes it.
# ---
# 没有人能对所有文本求和。REINFORCE 抽一些：每个样本是 `ln p(x)` 的梯度乘奖励（Williams 1992）。抽得再少，平均来说也是
# 对的。给每个奖励都加 10：哪个回答最好并没有变，每个样本的噪声却大了上百倍。先减去平均奖励（基线），就没事了。
p = tuned
exact = p * (R - p @ R)
rng = np.random.default_rng(0)
drawn = rng.choice(4, size=20_000, p=p)
steps = np.eye(4)[drawn] - p  # gradient of ln p(x) for each sample
print("exact  ", exact.round(2))
print("sampled", (steps * R[drawn, None]).mean(0).round(2))
more = R + 10
plain = steps * more[drawn, None]
baseline = steps * (more[drawn] - p @ more)[:, None]
print(f"variance {plain.var(0).sum():.1f}, with a baseline {baseline.var(0).sum():.1f}")

# %% Not too far || 别走太远
# A reward is a flawed judge, so the policy is kept near where it began: maximise `E[R] - β KL(p, p_ref)`. The best
# policy is known exactly: `p ∝ p_ref exp(R/β)`. Small β trusts the reward, large β the reference. Gradient ascent
# finds it.
# ---
# 奖励这个裁判并不完美，所以不让策略离出发点太远：最大化 `E[R] - β KL(p, p_ref)`。最优策略有精确解：
# `p ∝ p_ref exp(R/β)`。β 小就信奖励，β 大就信原来的。梯度上升找到的正是它。
beta = 0.5  # in: number(0.1..5): β || β
near = theta.copy()
for _ in range(20_000):
    p = softmax(near)
    gain = R - beta * (np.log(p) - np.log(tuned))
    near += 1.0 * p * (gain - p @ gain)
best = tuned * np.exp(R / beta)
print("found", softmax(near).round(3))
print("exact", (best / best.sum()).round(3))
draw.bars(answers, softmax(near), f"β = {beta}")
