# %% Tokenization three ways || 三种切词方法
# Characters, words, or pieces of words: what a model reads is neither letters nor words.
# ---
# 按字符、按词，还是按词的碎片：模型读到的既不是字母，也不是单词。

# %% Characters || 字符
# The simplest vocabulary: one number a character. It is small and knows every text, but texts grow long, and a model
# has to learn spelling before it can learn anything else.
# ---
# 最简单的词表：一个字符一个编号。词表小，什么文本都认识，但序列很长，模型得先学会拼写，才轮得到别的。
word = "machine learning"  # in: text(1..60): A text || 一段文字
print(len(word), "characters:", list(word))
print("numbers:", [ord(c) for c in word[:7]])

# %% Words || 单词
# One number a word: short texts, but there are millions of forms, and what was not in the vocabulary is `<unk>`. Here
# limpid's tokenizer of the kind `word` has read three lines in which "learning" never stands.
# ---
# 一个词一个编号：序列短了，可词形有几百万，词表里没有的只能是 `<unk>`。这里 limpid 的 `word` 类切词器读过三行字，
# 其中从没出现 “learning”。
from limpid.text.tokenizer import TokenizerSection, train

lines = [
    "I love a machine. I love to learn. The machine can learn: machines learn",
    "by doing, singing, reading, playing. We learn, she learned, a learner",
    "learns. I love the machine.",
]
sentence = "I love machine learning"  # in: text(1..120): A sentence || 一个句子


def pieces(kind, size, text, lines=lines):
    tokenizer = train(TokenizerSection(kind=kind, vocab_size=size), [" ".join(lines)])
    return [tokenizer.token_text(i).strip() for i in tokenizer.encode(text)]


print(" / ".join(pieces("word", 29, sentence)))

# %% Subwords || 子词
# In between: frequent words are one token, rare ones are put together from pieces, and nothing is unknown. Byte-pair
# encoding (BPE, Sennrich et al. 2016) begins with bytes and merges, again and again, the pair that stands together most
# often. WordPiece (Schuster and Nakajima 2012) merges where it helps the likelihood most. Both have learned "ing" from
# other words.
# ---
# 取其中间：常见的词是一个词元，少见的由碎片拼成，没有什么是不认识的。字节对编码（BPE，Sennrich 等 2016）从字节开始，
# 一次次合并最常相邻的一对。WordPiece（Schuster 与 Nakajima 2012）合并最能提高似然的一对。两者都从别的词里学到了 “ing”。
print("BPE:      ", " / ".join(pieces("bpe", 290, sentence)))
print("WordPiece:", " / ".join(pieces("wordpiece", 70, sentence)))

# %% How BPE learns || BPE 怎样学
# The whole algorithm, on the words of the lines above: count the pairs, merge the most frequent, repeat.
# ---
# 完整的算法，就用上面那些词：数相邻的对，合并最多的一对，再来。
import re
from collections import Counter

words = Counter(re.findall(r"\w+", " ".join(lines)))
spelled = {w: tuple(w) for w in words}
for _ in range(8):
    pairs = Counter()
    for w, count in words.items():
        for pair in zip(spelled[w], spelled[w][1:], strict=False):
            pairs[pair] += count
    best = max(pairs, key=lambda pair: (pairs[pair], pair))
    print(f"{'+'.join(best):10} {pairs[best]} times")
    for w, parts in spelled.items():
        merged = []
        for part in parts:
            if merged and (merged[-1], part) == best:
                merged[-1] += part
            else:
                merged.append(part)
        spelled[w] = tuple(merged)

# %% Chinese || 中文
# Chinese has no spaces. By characters it is short already; a character is three bytes in UTF-8, and a byte-level BPE
# that has seen little Chinese needs up to three tokens for each. One that has learned from Chinese joins characters to
# words.
# ---
# 中文没有空格，按字切本来就短。一个汉字在 UTF-8 里是三个字节；没怎么见过中文的字节级 BPE，一个字要用三个词元。
# 学过中文的，就会把字合成词。
chinese = "我爱机器学习"  # in: text(1..60): Chinese || 一句中文
poem = ["机器学习机器，我爱学习，学习爱我。机器爱机器，我学习机器学习。"]
print(len(chinese), "characters,", len(chinese.encode()), "bytes")
print("BPE that read English:", len(pieces("bpe", 290, chinese)), "tokens")
print("BPE that read Chinese:", " / ".join(pieces("bpe", 275, chinese, poem)))
