"""Lines of the pages made small: the same line, with further overrides behind it."""

from __future__ import annotations

import json
import re

SHAPE = "model.depth=3 model.d_model=32 model.head_dim=16 model.context=128"
QUIET = "eval.every=0 eval.tokens=256 eval.questions=7 checkpoint.every=0"
TRAIN = f"{SHAPE} train.steps=2 train.tokens_per_step=256 train.micro_tokens=256 train.compile=false {QUIET}"
SFT = f"sft.steps=2 sft.tokens_per_step=256 sft.conversations=40 {QUIET}"
REWARD = f"reward.pairs=8 reward.test_pairs=8 reward.baselines=false reward.sampled=0 {QUIET}"
DPO = f"dpo.pairs=8 dpo.test_pairs=8 dpo.sampled=0 {QUIET}"
GRPO = f"grpo.steps=1 grpo.prompts=2 grpo.samples=2 grpo.max_tokens=6 grpo.max_kl=100 {QUIET}"
PPO = f"ppo.steps=1 ppo.prompts=2 ppo.samples=2 ppo.max_tokens=6 ppo.max_kl=100 {QUIET}"
DISTILL = f"{SHAPE} distill.steps=2 distill.tokens_per_step=256 distill.conversations=40 {QUIET}"

BEHIND = (
    (r"pretrain addition", f"{TRAIN} model.context=32"),
    (r"pretrain poems", f"{TRAIN} tokenizer.vocab_size=320"),
    (r"pretrain (?:shakespeare-bpe|demo)", f"{TRAIN} tokenizer.vocab_size=320"),
    (r"pretrain", TRAIN),
    (r"seq2seq", f"{TRAIN} tokenizer.kind=char"),
    (r"sft", SFT),
    (r"reward", REWARD),
    (r"dpo", DPO),
    (r"grpo", GRPO),
    (r"ppo", PPO),
    (r"distill", DISTILL),
    (r"classify train", "classify.epochs=1 classify.examples_per_step=64"),
    (r"skipgram .*prose_zh.txt", "tokenizer.vocab_size=25 skipgram.dim=8 skipgram.epochs=1"),
    (r"skipgram", "tokenizer.vocab_size=27 skipgram.dim=8 skipgram.epochs=1"),
    (r"tokenize train demo", "tokenizer.vocab_size=600"),
    (r"tokenize train", "tokenizer.vocab_size=320"),
    (r"tokenize compare .* --on", "--vocab-size 400"),
    (r"compare", "--questions 7 --text-tokens 256"),
)
"""The first verb that fits -> what is put behind its line. A key that is given twice has the last value."""


def small(line: str) -> str:
    """The same line on the smallest models and the fewest steps."""
    for verb, more in BEHIND:
        if re.search(rf"\blimpid {verb}(?![\w-])", line):
            return f"{line} {more}"
    return line


def small_program(program: str) -> str:
    """The same Python program, training as `small` has it."""
    table = {key: json.loads(value) for key, _, value in (word.partition("=") for word in TRAIN.split())}
    return re.sub(r"(limpid\.train\([^{]*\{)", rf"\1**{table!r}, ", program)
