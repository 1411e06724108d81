"""Models that answer in 8 bits, and drafters by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.conftest import random_llama

import limpid
from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.inference.speculation import DraftModel, PromptLookup
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

WIDE = {"d_model": 64, "head_dim": 16, "d_ff": 112}


def save(folder: Path, tokenizer: Tokenizer, **changes: object) -> Path:
    model = random_llama(vocab_size=tokenizer.vocab_size, **(WIDE | changes))
    world = World(0, 1, torch.device("cpu"))
    store.write(store.checkpoint_path(folder, 1), model, tokenizer, {"stage": "pretrain", "step": 1}, world)
    return folder


def test_int8_and_a_drafting_run(tmp_path: Path, tokenizer: Tokenizer) -> None:
    large, small = save(tmp_path / "large", tokenizer), save(tmp_path / "small", tokenizer, n_layer=1)
    plain = limpid.load(large, device="cpu", dtype="float32")
    said = plain.generate("The cat sat", temperature=0, max_tokens=20)
    guided = limpid.load(large, device="cpu", dtype="float32", draft=small)
    assert isinstance(guided.engine.drafter, DraftModel)
    assert guided.generate("The cat sat", temperature=0, max_tokens=20) == said
    assert isinstance(limpid.load(large, device="cpu", draft="lookup").engine.drafter, PromptLookup)
    eight = limpid.load(large, device="cpu", dtype="int8")
    (first, *_) = eight.stream("The cat sat", temperature=0, max_tokens=1)
    (exact, *_) = plain.stream("The cat sat", temperature=0, max_tokens=1)
    assert first.logprob == pytest.approx(exact.logprob, abs=0.2)
    assert first.logprob != exact.logprob


def test_a_drafting_run_of_another_tokenizer_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    other = train(TokenizerSection(kind="char"), ["abc The cat sat"])
    large, small = save(tmp_path / "large", tokenizer), save(tmp_path / "small", other)
    with pytest.raises(LimpidError, match="small has another tokenizer"):
        limpid.load(large, device="cpu", draft=small)
