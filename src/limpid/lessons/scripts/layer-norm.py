# %% Layer normalisation || 层归一化
# Every vector gets mean 0 and deviation 1, then a scale and a shift that are learned.
# ---
# 让每个向量的均值为 0、标准差为 1，再乘上学到的缩放、加上学到的偏移。

# %% Mean 0, deviation 1 || 均值 0，标准差 1
# Numbers that pass through dozens of layers must neither explode nor vanish. Layer norm looks at one token's vector:
# subtract its mean, divide by its standard deviation. `ε` stands under the root, so that a vector of equal numbers
# does not divide by zero.
#
# `y = (x - mean) / sqrt(variance + ε)`
# ---
# 数字要穿过几十层，不能爆炸，也不能消失。层归一化只看一个词元自己的向量：减去均值，除以标准差。
# 根号下加一个 `ε`，免得全部相等的向量除以零。
#
# `y = (x - 均值) / sqrt(方差 + ε)`
import numpy as np

x = [1.0, 2.0, 3.0, 4.0]  # in: numbers(2..16 of -1000..1000): The vector || 向量
eps = 1e-5
mean, variance = np.mean(x), np.var(x)
print("mean", mean.round(3), " variance", variance.round(3))
y = (x - mean) / np.sqrt(variance + eps)
print("normalised", y.round(2))

# %% A scale and a shift || 缩放与偏移
# Always mean 0 and deviation 1 would be a cage. So the layer may learn two numbers for each dimension: a scale `γ`
# and a shift `β`. Here they are the same for all four.
#
# Whoever goes on with the rounded -0.45 and 0.45, as one does on paper, gets -0.175 and 1.175, and writes -0.18 and
# 1.18; the unrounded 0.4472 gives -0.17 and 1.17. Models never round in between.
# ---
# 总是均值 0、标准差 1，反而成了笼子。所以每一维再学两个数：缩放 `γ` 和偏移 `β`。这里四维用同一对。
#
# 在纸上用四舍五入后的 -0.45 和 0.45 接着算，得到 -0.175 和 1.175，写下来就是 -0.18 和 1.18；
# 用没有舍入的 0.4472，是 -0.17 和 1.17。模型在中途从不舍入。
from limpid.lessons import draw

gamma = 1.5  # in: number(-5..5): γ, the scale || γ，缩放
beta = 0.5  # in: number(-5..5): β, the shift || β，偏移
z = gamma * y + beta
print("scaled and shifted", z.round(2))
print("from rounded numbers", (gamma * y.round(2) + beta).round(3))
draw.bars([f"x{i}" for i in range(1, len(x) + 1)], z)

# %% The layer of a real model || 真实模型里的那一层
# The same numbers from `limpid.nn.norm.LayerNorm`, which GPT-2 and the 2017 Transformer use here. Llama and limpid's
# own default leave the mean out: RMSNorm divides by the root of the mean square, which is cheaper and works as well.
# ---
# 用 `limpid.nn.norm.LayerNorm` 再算一遍，GPT-2 和 2017 年的 Transformer 用的就是它。Llama 和 limpid 默认的模型
# 不减均值：RMSNorm 只除以平方均值的根，更省，效果一样好。
import torch

from limpid.nn.norm import LayerNorm, RMSNorm

layer = LayerNorm(len(x), eps=eps)
torch.nn.init.constant_(layer.weight, gamma)
torch.nn.init.constant_(layer.bias, beta)
print("limpid's layer", layer(torch.tensor([x])).detach().numpy().round(2)[0])
rms = RMSNorm(len(x))
rms.reset_parameters()
print("RMSNorm", rms(torch.tensor([x])).detach().numpy().round(2)[0])
