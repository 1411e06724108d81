"""The first stage: a vocabulary learnt from the training text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpid.core.paths import RunLock, atomic_write_text, ensure_directory
from limpid.core.recipe import dumps
from limpid.parallel.hardware import peak_rss_bytes
from limpid.stages.corpus import splits, tokenizer_for
from limpid.stages.events import Event, Finished
from limpid.stages.recipe import Recipe
from limpid.text.tokenizer import Tokenizer

SENTENCES = ("Return the sum of 17 and 25.", "I love machine learning.", "我喜欢机器学习。")


def tokenize(recipe: Recipe, out: Path) -> Iterator[Event]:
    """Learn the recipe's tokenizer into ``out``/tokenizer.json and measure it on text it has not seen."""
    began = time.perf_counter()
    ensure_directory(out)
    with RunLock(out):
        atomic_write_text(out / "recipe.toml", f"# limpid tokenize\n{dumps(recipe)}")
        tokenizer = tokenizer_for(recipe, out / "tokenizer.json")
        held_out = "".join(document.text for document in splits(recipe)["validation"])[:1_000_000]
        bytes_per_token = len(held_out.encode()) / max(1, len(tokenizer.encode(held_out)))
        summary: dict[str, Any] = {
            "stage": "tokenizer",
            "seconds": time.perf_counter() - began,
            "vocab_size": tokenizer.vocab_size,
            "bytes_per_token": bytes_per_token,
            "measures": {},
            "example": [{"text": text, "tokens": pieces(tokenizer, text)} for text in SENTENCES],
            "peak_rss_bytes": peak_rss_bytes(),
        }
        atomic_write_text(out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False))
    yield Finished("tokenizer", summary)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """The tokens of a text, each readable on its own."""
    return [tokenizer.token_text(i) for i in tokenizer.encode(text)]
