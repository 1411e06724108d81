"""The embedding tables of models, read once from their checkpoints in float32 and kept while they are looked at."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.data import token_store
from limpid.inspection.positions import position_table, rope_tables
from limpid.inspection.word_vectors import WordVectors
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.model import Model
from limpid.server.errors import ApiError, bad_request
from limpid.stages.load import Tables, load_tables

Floats = npt.NDArray[np.float32]
KEPT = 3
"""Models whose tables are kept at a time; the least recently asked about goes first."""
PLACES = 2048
"""Positions that are kept of a model; one with a longer context shows its first ones."""
COUNTED = 50_000_000
"""Tokens of the training text that are counted, from its beginning."""


class Counts(NamedTuple):
    """How often each token stands in the first ``tokens`` tokens of ``file``. by_id: (V,)."""

    by_id: npt.NDArray[np.int64]
    tokens: int
    file: Path


class Added(NamedTuple):
    """(T, D): what is added to the embedding at each place; learned, or a formula."""

    table: Floats
    learned: bool


class Turns(NamedTuple):
    """cos, sin (T, C/2): how rotary positions turn each pair."""

    cos: Floats
    sin: Floats


class OpenTables:
    """The tables of one model. positions: by the stack that they are added in ("decoder", "encoder")."""

    def __init__(self, tables: Tables) -> None:
        self.path, self.tokenizer, self.rows = tables.path, tables.tokenizer, tables.rows
        self.positions = {} if tables.model is None else _positions(tables.model)  # and the model itself is let go
        self._words: dict[str, WordVectors] = {}

    def table(self, name: str) -> Floats:
        """Raises ApiError where there is none of that name."""
        if name not in self.rows:
            raise bad_request(f"This model has no table {name[:40]!r}; it has {', '.join(self.rows)}.", "table")
        return self.rows[name]

    def words(self, name: str) -> WordVectors:
        """The table, read as vectors of words."""
        if name not in self._words:
            self._words[name] = WordVectors(self.tokenizer, self.table(name))
        return self._words[name]

    @cached_property
    def counts(self) -> Counts | None:
        """From the token store of the run, or of the pretraining beside it; None where neither was left."""
        run = self.path.parent.parent if self.path.is_dir() else self.path.parent
        for folder in (run, run.parent / "pretrain"):
            file = folder / "tokens" / "train.bin"
            if token_store.exists(file, self.tokenizer):
                ids = token_store.open_store(file, self.tokenizer).ids[:COUNTED]
                return Counts(np.bincount(ids, minlength=self.tokenizer.vocab_size), len(ids), file)
        return None

    @cached_property
    def by_frequency(self) -> npt.NDArray[np.int64]:
        """All ids that have a spelling, the most frequent first; without counts in the vocabulary's own order."""
        ids = np.arange(self.tokenizer.vocab_size)
        return ids if self.counts is None else ids[np.argsort(-self.counts.by_id[: len(ids)], kind="stable")]


def _positions(model: Model) -> dict[str, Added | Turns]:
    found: dict[str, Added | Turns] = {}
    whole: Any = getattr(model, "backbone", model)
    length = min(PLACES, int(whole.config.context))
    for stack in ("decoder", "encoder") if isinstance(whole, EncoderDecoder) else ("decoder",):
        try:
            found[stack] = Added(position_table(whole, length, stack=stack), _is_learned(whole, stack))
        except LimpidError:  # nothing is added in it
            try:
                found[stack] = Turns(*rope_tables(whole, length))
            except LimpidError:
                continue
    return found


def _is_learned(model: Any, stack: str) -> bool:
    within = getattr(model, stack, None) or getattr(model, "encoder", None) or model
    return any(True for _ in within.positions.parameters())


class TableShelf:
    """Opens tables by the folder of their run or checkpoint, one at a time, and keeps the newest few."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], OpenTables] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, path: Path) -> OpenTables:
        """Blocking. Raises ApiError where the checkpoint has gone, LimpidError where it cannot be read."""
        with self._lock:
            key = (str(path), _stamp(path))
            if key not in self._kept:
                self._kept[key] = OpenTables(load_tables(path))
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _stamp(path: Path) -> int:
    """Changes with the files: a checkpoint written anew is read anew."""
    for name in ("checksums.json", "vectors.safetensors", ""):
        try:
            return (path / name).stat().st_mtime_ns
        except OSError:
            continue
    raise ApiError(404, f"{path} is not there any more.", code="checkpoint_gone")
