# %% A language model is a compressor || 语言模型就是压缩器
# To predict well and to compress well are one thing. Here a text is compressed by predictions, and comes back.
# ---
# 预测得好与压缩得好是一回事。这里靠预测压缩一段文本，再原样还原。

# %% Probability is length || 概率就是长度
# What one expects with probability p takes `-log2 p` bits to say (Shannon 1948): a coin toss takes 1, what was certain
# takes 0. So a text takes as many bits as the sum of a model's surprises, its loss.
# ---
# 以概率 p 预料到的事，说出来要 `-log2 p` 个比特（Shannon 1948）：抛硬币要 1 个，早已确定的事不用。所以一段文本需要的
# 比特数，就是模型一路上意外的总和，也就是它的损失。
import math

for p in (0.5, 0.97, 1 / 256):
    print(f"probability {p:.4f}: {-math.log2(p):.3f} bits")

# %% A model that counts || 一个会数数的模型
# The model of this lesson: after the last three bytes, what came next so far? Every byte begins with a small share, so
# that nothing is impossible. It learns while it reads; whoever decompresses learns the same from what is already there,
# so no model has to be sent.
# ---
# 本课的模型：最近三个字节之后，到目前为止出现过什么？每个字节一开始都有一点份额，什么都不是不可能。它边读边学；
# 解压的一方从已有的内容学到同样的东西，所以不用另外传送模型。
from collections import defaultdict

ORDER = 3


class Counts:
    def __init__(self):
        self.seen = [defaultdict(lambda: defaultdict(int)) for _ in range(ORDER + 1)]

    def shares(self, before):
        """Whole-number shares of all 256 bytes after these."""
        shares = [1] * 256
        for n, table in enumerate(self.seen):
            for byte, count in table[before[len(before) - n :]].items():
                shares[byte] += count * 40**n
        return shares

    def learn(self, before, byte):
        for n, table in enumerate(self.seen):
            table[before[len(before) - n :]][byte] += 1


# %% Arithmetic coding || 算术编码
# The whole text becomes one number between 0 and 1: each symbol narrows the interval to its share. What is likely
# hardly narrows it, and costs next to nothing. The coder is the one of `limpid compress`.
# ---
# 整段文本变成 0 与 1 之间的一个数：每个符号把区间缩到自己的份额。很可能出现的几乎不缩，也就几乎不花钱。编码器就是
# `limpid compress` 用的那个。
from limpid.inference.compression.arithmetic import Decoder, Encoder

text = "The cat sat on the mat. The dog sat on the mat. The cat and the dog sat."  # in: text(1..400): Text || 文本
data = (f"{text} " * 6).encode()


def compress(data):
    model, encoder, bits = Counts(), Encoder(), 0.0
    for at, byte in enumerate(data):
        shares = model.shares(data[max(0, at - ORDER) : at])
        encoder.put(sum(shares[:byte]), shares[byte], sum(shares))
        bits -= math.log2(shares[byte] / sum(shares))
        model.learn(data[max(0, at - ORDER) : at], byte)
    return encoder.finish(), bits


def decompress(packed, length):
    model, decoder, data = Counts(), Decoder(packed), b""
    while len(data) < length:
        shares = model.shares(data[-ORDER:])
        wanted, byte, start = decoder.where(sum(shares)), 0, 0
        while start + shares[byte] <= wanted:
            start, byte = start + shares[byte], byte + 1
        decoder.take(start, shares[byte], sum(shares))
        model.learn(data[-ORDER:], byte)
        data += bytes([byte])
    return data


packed, bits = compress(data)
print(f"{len(data)} bytes, surprises {bits / 8:.1f} bytes, file {len(packed)} bytes")
print("comes back:", decompress(packed, len(data)) == data)

# %% Beside gzip and xz || 与 gzip、xz 相比
# They look for repetitions; a model expects. A trained one expects far more: `limpid compress RUN FILE OUT` does
# this with your run, and says what gzip, xz and zstd make of the same file. The size of the model is not counted.
# ---
# 它们找重复，模型靠预料。训练过的模型预料得好得多：`limpid compress RUN FILE OUT` 用你自己的模型来做，并列出 gzip、xz、
# zstd 的结果。模型本身的大小不算在内。
import gzip
import lzma

from limpid.lessons import draw

sizes = {
    "plain": len(data),
    "gzip -9": len(gzip.compress(data, 9, mtime=0)),
    "xz -9": len(lzma.compress(data, preset=9)),
    "counting": len(packed),
}
for name, size in sizes.items():
    print(f"{name:9}{size:5} bytes, {8 * size / len(data):.2f} bits a byte")
draw.bars(sizes, sizes.values(), "bytes")
