# %% Masks: encoder, decoder, cross || 掩码：编码器、解码器、交叉
# The same attention three times; only what may be looked at differs.
# ---
# 同一个注意力用三次，差别只在于允许看什么。

# %% An encoder sees all || 编码器全都看
# It reads a sentence that is there: every word may look at every word, before and after it. Only padding is hidden,
# where sentences of other lengths share a batch. A mask is added to the scores: 0 where one may look, `-inf` where not;
# `exp(-inf)` is 0.
# ---
# 编码器读的句子已经在那里：每个词可以看前后所有的词。只有填充要遮住，因为一批句子长短不一。掩码加在分数上：
# 可看处是 0，不可看处是 `-inf`，而 `exp(-inf)` 是 0。
import numpy as np

from limpid.lessons import draw


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def weights_of(queries, keys, mask):
    return softmax(queries @ keys.T / np.sqrt(queries.shape[-1]) + mask)


source = "知识 就是 力量 <pad>".split()
target = "<s> knowledge is power .".split()
rng = np.random.default_rng(3)
S, T = rng.normal(size=(len(source), 8)), rng.normal(size=(len(target), 8))

padding = np.where([word == "<pad>" for word in source], -np.inf, 0.0)
encoder = weights_of(S, S, padding)
print("what <pad> gets:", encoder[:, -1])
draw.matrix(encoder, source, source, "encoder")

# %% A decoder sees what is written || 解码器只看已经写下的
# A decoder learns to say the next word. If it saw that word it would copy it and learn nothing. So each place sees
# itself and what came before: everything above the diagonal is `-inf`. All places are trained at once, none of them
# cheats.
# ---
# 解码器要学的是说出下一个词。看得到答案，就只会抄，什么也学不到。所以每个位置只看自己和之前的：对角线以上全是
# `-inf`。这样所有位置可以同时训练，谁也作不了弊。
causal = np.triu(np.full((len(target), len(target)), -np.inf), k=1)
decoder = weights_of(T, T, causal)
print("first row:", decoder[0].round(2))
print("above the diagonal:", np.triu(decoder, k=1).sum())
draw.matrix(causal, target, target, "mask")
draw.matrix(decoder, target, target, "decoder")

# %% Cross attention: queries here, keys there || 交叉注意力：查询在此，键在彼
# While it translates, the decoder asks (queries from the target) and the encoder's output answers (keys and values
# from the source). The matrix is not square: a row for each word that is written, a column for each that is read.
# ---
# 翻译时，解码器提问（查询来自译文），编码器的输出回答（键和值来自原文）。这个矩阵不是方的：每个写下的词一行，
# 每个读到的词一列。
cross = weights_of(T, S, padding)
print("shape:", cross.shape)
draw.matrix(cross, target, source, "cross attention")

# %% limpid's masks || limpid 的掩码
# The masks that its models are trained with.
# ---
# 它的模型训练时用的掩码。
import torch

from limpid.nn.attention import causal_mask
from limpid.nn.cross_attention import padding_mask

ours = causal_mask(len(target), torch.float64, torch.device("cpu")).numpy()
pad = padding_mask(torch.tensor([3]), len(source), torch.float64).numpy()
print("decoder the same:", np.array_equal(ours, causal))
print("padding the same:", np.array_equal(pad[0, 0, 0], padding))
