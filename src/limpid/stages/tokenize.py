"""The first stage: a vocabulary learnt from the training text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from limpid.core.paths import RunLock, atomic_write_text, ensure_directory
from limpid.core.recipe import dumps
from limpid.data.corpus import resolve
from limpid.data.document import Document, Split
from limpid.parallel.hardware import peak_rss_bytes
from limpid.stages.corpus import splits, tokenizer_for
from limpid.stages.events import Event, Finished
from limpid.stages.recipe import Recipe
from limpid.text.tokenizer import Tokenizer, train

SENTENCES = ("Return the sum of 17 and 25.", "I love machine learning.", "我喜欢机器学习。")
MEASURED_CHARACTERS = 1_000_000
"""How much of a text is read to measure a tokenizer on it."""


def tokenize(recipe: Recipe, out: Path, files: Sequence[str] = ()) -> Iterator[Event]:
    """Learn the recipe's tokenizer into ``out``/tokenizer.json and measure it on text it has not seen.

    files: texts to learn from instead of ``data.path``, each split as that would be.
    """
    began = time.perf_counter()
    ensure_directory(out)
    with RunLock(out):
        atomic_write_text(out / "recipe.toml", f"# limpid tokenize\n{dumps(recipe)}")
        path = out / "tokenizer.json"
        documents = _splits_of(files) if files else splits(recipe)
        if files and not path.exists():
            tokenizer = train(recipe.tokenizer, (document.text for document in documents["train"]))
            atomic_write_text(path, tokenizer.to_json())
        else:
            tokenizer = tokenizer_for(recipe, path)
        held_out = beginning(documents["validation"], MEASURED_CHARACTERS)
        ids = tokenizer.encode(held_out)
        seen = tokenizer.encode(beginning(documents["train"], MEASURED_CHARACTERS))
        summary: dict[str, Any] = {
            "stage": "tokenizer",
            "kind": tokenizer.kind,
            "seconds": time.perf_counter() - began,
            "vocab_size": tokenizer.vocab_size,
            "bytes_per_token": len(held_out.encode()) / max(1, len(ids)),
            "out_of_vocabulary": {
                "train": tokenizer.out_of_vocabulary(seen),
                "validation": tokenizer.out_of_vocabulary(ids),
            },
            "measures": {},
            "example": [{"text": text, "tokens": pieces(tokenizer, text)} for text in SENTENCES],
            "peak_rss_bytes": peak_rss_bytes(),
        }
        atomic_write_text(out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False))
    yield Finished("tokenizer", summary)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """The tokens of a text, each readable on its own."""
    return [tokenizer.token_text(i) for i in tokenizer.encode(text)]


def beginning(documents: Iterable[Document], characters: int) -> str:
    """The first so many characters of a text, without reading the rest."""
    parts: list[str] = []
    left = characters
    for document in documents:
        parts.append(document.text[:left])
        left -= len(parts[-1])
        if left <= 0:
            break
    return "".join(parts)


def _splits_of(files: Sequence[str]) -> dict[Split, Iterable[Document]]:
    found = [resolve(file) for file in files]
    names: tuple[Split, ...] = ("train", "validation")
    return {name: _Chained([each[name] for each in found]) for name in names}


class _Chained:
    """Several texts as one, read anew each time."""

    def __init__(self, texts: Sequence[Iterable[Document]]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[Document]:
        return chain.from_iterable(self._texts)
