# %% One token at a time || 一次一个词
# A small model is trained here in seconds, and says how likely each next word is. What it learned can be counted.
# ---
# 在这里花几秒训练一个小模型，它会说出每个下一个词有多可能。学得对不对，数一数就知道。

# %% A model and its text || 一个模型和它的文本
# A hundred sentences: sixty cats sit on the mat, thirty on the sofa, ten on the roof; ninety-seven times the Chinese
# for "people's" goes on to "republic", three times otherwise. The model is limpid's GPT: an embedding, two blocks, a
# head. Each word or character is a token.
# ---
# 一百个句子：六十次猫坐在垫子上，三十次在沙发上，十次在屋顶上；“中华人民”后面，九十七次是“共和国”，三次是别的。
# 模型是 limpid 的 GPT：嵌入、两个块、输出头。每个单词或汉字是一个词元。
import torch

from limpid.models.gpt import GptConfig
from limpid.models.registry import build

english = ["the cat sat on the mat ."] * 60 + ["the cat sat on the sofa ."] * 30 + ["the cat sat on the roof ."] * 10
chinese = ["中 华 人 民 共 和 国 ."] * 97 + ["中 华 人 民 站 起 来 ."] * 3
sentences = [line.split() for line in english + chinese]
vocabulary = sorted({w for s in sentences for w in s})
ids = {w: i for i, w in enumerate(vocabulary)}
config = GptConfig(vocab_size=len(vocabulary), context=8, d_model=32, n_layer=2, n_head=2, d_ff=64)
model = build(config, seed=0)
print(len(vocabulary), "tokens,", f"{sum(p.numel() for p in model.parameters()):,}", "parameters")

# %% Training || 训练
# At every place the model predicts the next token; the loss is the mean of `-ln p` of what really came. Each sentence
# that is there several times is computed once and counted as often.
# ---
# 在每个位置，模型预测下一个词元；损失是真正出现的那个的 `-ln p` 的平均。重复的句子只算一次，按次数计权。
from limpid.lessons import draw

distinct = sorted(set(map(tuple, sentences)))
often = torch.tensor([sentences.count(list(s)) for s in distinct], dtype=torch.float32)
batch = torch.full((len(distinct), 8), ids["."])
for row, s in zip(batch, distinct, strict=True):
    row[: len(s)] = torch.tensor([ids[w] for w in s])
lengths = torch.tensor([len(s) for s in distinct])
counted = torch.arange(7) < lengths[:, None] - 1
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
for _ in range(200):
    logits = model.head(model(batch[:, :-1]))
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none")
    shares = often[:, None] * counted
    loss = (each * shares).sum() / shares.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
draw.curves(range(1, 201), {"loss": losses}, "loss by step")

# %% What comes next? || 接下来是什么？
# The text goes in, scores come out, softmax makes probabilities of them. They are what was counted: 60, 30 and 10 in a
# hundred, and 97.
# ---
# 文本进去，分数出来，softmax 变成概率。它们就是数出来的样子：一百次里 60、30、10，还有 97。
model.eval()


@torch.no_grad()
def next_tokens(words):
    at = torch.tensor([[ids[w] for w in words]])
    return torch.softmax(model.head(model(at))[0, -1], dim=0)


for prompt in ("the cat sat on the", "中 华 人 民"):
    p = next_tokens(prompt.split())
    best = {vocabulary[i]: p[i] for i in p.argsort(descending=True) if p[i] > 0.005}
    print(prompt, "->", ", ".join(f"{w} {q:.0%}" for w, q in best.items()))
    draw.bars(best, best.values(), prompt)

# %% Written word by word || 一个词一个词地写
# Draw one token by its probability, append it, and put the whole of it in again. This is all that happens when a chat
# answers, and why the answer comes word by word. At temperature 0 the best is always taken. With a run of your own:
# `limpid generate RUN "..." --show-probabilities`.
# ---
# 按概率抽一个词元，接在后面，整个再放进去。聊天时回答，发生的就是这件事，所以字是一个个蹦出来的。
# 温度为 0 时总取最好的。
# 用自己训练的模型：`limpid generate RUN "……" --show-probabilities`。
temperature = 1.0  # in: number(0..3): Temperature || 温度
seed = 0  # in: integer(0..999): Seed || 随机种子
generator = torch.Generator().manual_seed(seed)


def write(words):
    while words[-1] != "." and len(words) < 8:
        p = next_tokens(words)
        if temperature == 0:
            choice = int(p.argmax())
        else:
            chances = torch.softmax(p.log() / temperature, dim=0)
            choice = int(torch.multinomial(chances, 1, generator=generator))
        words = [*words, vocabulary[choice]]
        print(" ".join(words))


write("the cat sat".split())
