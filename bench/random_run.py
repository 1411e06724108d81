"""A chat run with random weights: as good as a trained one where only speed or bookkeeping is looked at."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

from limpid.checkpoint import store
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.text.tokenizer import TokenizerSection, train

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def random_words(count: int, seed: int) -> str:
    """Words of two to nine letters."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(count))


def write_random_run(folder: Path, vocab_size: int, **shape: Any) -> Path:
    """Write a llama of ``shape`` with a byte-level BPE of random words; the run's folder.

    Every matrix is random, residual outputs as well, so that no branch is idle. The head's rows of the special tokens
    are zero: at a temperature of 0 they never win, and every answer has all of its max_tokens.
    """
    texts = [random_words(2000, seed) for seed in range(1 + vocab_size // 400)]
    tokenizer = train(TokenizerSection(kind="bpe", vocab_size=vocab_size), texts)
    if tokenizer.vocab_size != vocab_size:
        raise RuntimeError(f"the tokenizer came out with {tokenizer.vocab_size} tokens instead of {vocab_size}")
    model = build(LlamaConfig.model_validate({"vocab_size": vocab_size, **shape}), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.04, generator=generator)
        model.head.weight[sorted(tokenizer.special_ids)] = 0.0
    world = World(0, 1, torch.device("cpu"))
    store.write(store.checkpoint_path(folder, 1), model, tokenizer, {"stage": "sft", "step": 1}, world)
    return folder
