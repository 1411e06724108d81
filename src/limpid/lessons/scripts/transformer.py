# %% The Transformer of 2017 || 2017 年的 Transformer
# N encoders read, their last output R feeds N decoders that write. Its shapes, from the model itself.
# ---
# N 个编码器负责读，最后的输出 R 喂给 N 个负责写的解码器。形状都从模型本身得来。

# %% The base model, counted || 数一数基础模型
# "Attention Is All You Need" (Vaswani et al. 2017), table 3: N = 6, 512 wide, 2,048 within, 8 heads, 37,000 shared
# tokens; the paper says 65 million parameters. limpid assembles it without memory and counts.
# ---
# 《Attention Is All You Need》（Vaswani 等 2017）表 3：N = 6，宽 512，中间 2,048，8 个头，共享词表 37,000；论文说有
# 6,500 万参数。limpid 不占内存地搭出来，再数。
import torch

from limpid.models.count import parameters
from limpid.models.registry import assemble, preset_config

with torch.device("meta"):
    base = assemble(preset_config("transformer-base"))
table = base.embedding.weight.numel()
encoder = sum(p.numel() for p in base.encoder.parameters())
decoder = sum(p.numel() for p in base.decoder.parameters())
print(f"embeddings, shared by source, target and output: {table:,}")
print(f"6 encoders: {encoder:,}")
print(f"6 decoders: {decoder:,}")
print(f"together: {parameters(base):,}")

# %% A small one, and what flows through it || 一个小的，以及流过它的东西
# The same model with N = 2 and width 32, random weights. A source of seven tokens becomes R, a vector for each; the
# decoder has written four and gives a score to every token of the vocabulary for the fifth, at each of its places.
# ---
# 同样的模型，N = 2，宽 32，权重随机。七个词元的原文变成 R，每个词元一个向量；解码器已写下四个，在每个位置给词表里的
# 每个词元打分。
from limpid.models.registry import build
from limpid.models.transformer import TransformerConfig

layers = 2  # in: integer(1..6): N || N
read = 7  # in: integer(1..30): Source tokens || 原文词元数
written = 4  # in: integer(1..30): Target tokens || 译文词元数
config = TransformerConfig(
    vocab_size=100, context=32, d_model=32, n_layer=layers, n_encoder_layer=layers,
    n_head=4, head_dim=8, d_ff=128,
)  # fmt: skip
model = build(config, seed=0).eval()
seen = []


def note(name):
    return lambda module, given, out: seen.append((name, tuple(out.shape)))


for stack, name in ((model.encoder, "encoder"), (model.decoder, "decoder")):
    for i, block in enumerate(stack.blocks):
        block.register_forward_hook(note(f"{name} {i + 1}"))
generator = torch.Generator().manual_seed(0)
source = torch.randint(100, (1, read), generator=generator)
target = torch.randint(100, (1, written), generator=generator)
with torch.no_grad():
    R = model.encode(source, torch.tensor([read]))
    logits = model.head(model.decode(target, R))
for name, shape in seen:
    print(name, shape)
print("R", tuple(R.states.shape), " logits", tuple(logits.shape))


# %% R feeds every decoder || R 喂给每一个解码器
# Each decoder block has three parts: masked self-attention over what is written, cross-attention whose keys and values
# come from R, feed-forward. Change one word of the source, and every place of the target changes; change the last
# word that is written, and only its own place does.
# ---
# 解码器的每个块有三部分：对已写内容的掩码自注意力、键和值来自 R 的交叉注意力、前馈。换掉原文的一个词，译文的每个位置
# 都会变；换掉写下的最后一个词，变的只有它自己的位置。
@torch.no_grad()
def scores(source, target):
    return model.head(model.decode(target, model.encode(source, torch.tensor([read]))))[0]


other_source, other_target = source.clone(), target.clone()
other_source[0, 0] = (source[0, 0] + 1) % 100
other_target[0, -1] = (target[0, -1] + 1) % 100
start = scores(source, target)
by_source = (scores(other_source, target) - start).abs().max(dim=1).values > 1e-6
by_target = (scores(source, other_target) - start).abs().max(dim=1).values > 1e-6
print("places that hear of another source:", by_source.sum().item(), "of", written)
print("places that hear of another last word:", by_target.sum().item(), "of", written)

# %% GPT is the right half || GPT 是右半边
# Leave out the encoders and cross-attention: a stack of decoders, a linear layer, softmax. The first had 12 (Radford et
# al. 2018: 117 million parameters).
# ---
# 去掉编码器和交叉注意力：一摞解码器，一个线性层，softmax。第一代有 12 层（Radford 等 2018：1.17 亿参数）。
with torch.device("meta"):
    gpt = assemble(preset_config("gpt1"))
print(f"GPT-1: {len(gpt.blocks)} decoders, {parameters(gpt):,} parameters")
