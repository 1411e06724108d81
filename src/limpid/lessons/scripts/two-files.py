# %% A model is two files || 一个模型就是两个文件
# Parameters, and a program that runs them. Here is one small enough to look into.
# ---
# 参数，和运行参数的程序。这里的一个，小到可以打开看。

# %% How large is large? || 大模型有多大？
# Llama 2 with 70 billion parameters: two bytes each make a file of 140 GB. It was made of about 10 TB of text, on 6,000
# GPUs in 12 days, for about two million dollars: a lossy compression, seventy to one. limpid counts the parameters from
# the model's shape.
# ---
# Llama 2 有 700 亿参数，每个两字节，就是 140 GB 的文件。它由大约 10 TB 文本炼成：6,000 块 GPU，12 天，约两百万美元。
# 这是一种有损压缩，七十比一。参数个数由 limpid 按模型的形状数出来。
import torch

from limpid.models.count import parameters
from limpid.models.registry import assemble, preset_config

with torch.device("meta"):  # shapes without memory
    count = parameters(assemble(preset_config("llama2-70b")))
print(f"Llama 2 70B: {count:,} parameters, {2 * count / 1e9:.0f} GB at two bytes each")
print(f"10 TB of text is {10e12 / (2 * count):.0f} times as much")

# %% A tiny one, written as two files || 写一个小的，两个文件
# A model of limpid's default family over single characters, its weights drawn at random. `limpid export RUN OUT --to
# two-files` writes any run like this.
# ---
# limpid 默认家族的一个模型，一个字符一个词元，权重随机。
# `limpid export RUN OUT --to two-files` 能把任何训练结果这样写出。
import tempfile
from pathlib import Path

from limpid.checkpoint.two_files import write_two_files
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.text.tokenizer import TokenizerSection, train

text = "To be, or not to be, that is the question."
tokenizer = train(TokenizerSection(kind="char"), [text])
config = LlamaConfig(
    vocab_size=tokenizer.vocab_size, context=32, d_model=32, n_layer=2, n_head=4,
    n_kv_head=2, head_dim=8, d_ff=64,
)  # fmt: skip
model = build(config, seed=0).eval()
folder = Path(tempfile.mkdtemp())
write_two_files(folder, model, tokenizer, torch.float32)
print("parameters:", f"{parameters(model):,}")
for path in sorted(folder.iterdir()):
    print(path.name)

# %% The first file: names, shapes, numbers || 第一个文件：名字、形状、数字
# Eight bytes say how long the header is, the header (JSON) says where each tensor lies, the rest is numbers. No program
# is hidden in it, and nothing is run when it is read.
# ---
# 开头八个字节说文件头有多长，文件头（JSON）说每个张量在哪里，剩下的全是数字。里面没有藏程序，读它也不会运行任何东西。
import json

raw = (folder / "model.safetensors").read_bytes()
length = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8 : 8 + length])
tensors = {name: about for name, about in header.items() if name != "__metadata__"}
for name in list(tensors)[:4]:
    print(f"{name:36}{tensors[name]['shape']}")
print(f"{len(tensors)} tensors, {len(raw) - 8 - length:,} bytes of numbers")

# %% The second file runs it, with NumPy alone || 第二个文件运行它，只用 NumPy
# `run.py` is a few hundred lines: read the file, cut the text into tokens, compute the model, choose a token,
# repeat. It knows neither limpid nor torch, and gives the same logits.
# ---
# `run.py` 只有几百行：读文件、切词、算模型、选词元、再来。它既不认识 limpid，也不认识 torch，算出的 logits 却一样。
import runpy
import shutil

import numpy as np

program = runpy.run_path(str(folder / "run.py"))
alone, its_tokenizer = program["load"](folder / "model.safetensors")
ids = its_tokenizer.encode(text[:20])
logits = alone.forward(ids, program["Cache"](alone.config))
with torch.no_grad():
    theirs = model.head(model(torch.tensor([tokenizer.encode(text[:20])])))[0].numpy()
print("imports torch:", "import torch" in (folder / "run.py").read_text())
print("logits", logits.shape, "the same as torch's:", np.allclose(logits, theirs, atol=1e-4))
shutil.rmtree(folder)
