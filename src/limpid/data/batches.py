"""Batches as a pure function of (seed, step): no iterator state, so any step can be asked for at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator
from limpid.data.token_store import TokenStore


class Batch(NamedTuple):
    """One step's rows, or a share of them.

    inputs, targets: (B, T) int64; weights: (B, T) float32, how much each target counts.
    segments: (B, T) int64 document numbers where documents must not see each other, else None.
    advantages: (B, T) float32, how much better than expected the answer of a token was, for policy gradients only.
    source: (B, S) int64, what an encoder reads, and source_lengths: (B,), how much of each row of it is no padding.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    segments: Tensor | None = None
    advantages: Tensor | None = None
    source: Tensor | None = None
    source_lengths: Tensor | None = None

    def rows(self, start: int, stop: int) -> Batch:
        """The rows start..stop-1."""
        return Batch(*(None if part is None else part[start:stop] for part in self))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Batch:
        return Batch(*(None if part is None else part.to(device, non_blocking=True) for part in self))  # type: ignore[arg-type]

    @property
    def total_weight(self) -> float:
        return float(self.weights.sum())


class Batches(Protocol):
    """Anything that gives the global batch of a step.

    What it is lies between a source and its objective: a `Batch`, or another tuple of tensors over the same rows, that
    has `inputs`, `rows`, `to` and `total_weight` as `Batch` has.
    """

    def __getitem__(self, step: int) -> Any: ...


class EpochOrder:
    """An endless walk over ``count`` items: each once an epoch, in an order drawn from (seed, name, epoch)."""

    def __init__(self, count: int, seed: int, name: str) -> None:
        self.count, self.seed, self.name = count, seed, name
        self._last: tuple[int, np.ndarray] | None = None

    def __getitem__(self, index: int) -> tuple[int, int]:
        """(epoch, item) at place ``index`` of the walk."""
        epoch, position = divmod(index, self.count)
        if self._last is None or self._last[0] != epoch:
            self._last = epoch, generator(self.seed, self.name, epoch).permutation(self.count)
        return epoch, int(self._last[1][position])


class TextBatches:
    """Windows of ``context`` tokens over a token store.

    Epoch e cuts the store into windows from a random offset and visits them in a random order, both drawn from
    (seed, e); row r of step s is window number s x rows + r of that endless sequence. Every window is visited once an
    epoch, and each epoch cuts elsewhere.
    """

    def __init__(self, store: TokenStore, context: int, rows: int, seed: int) -> None:
        if len(store.ids) < context + 1:
            raise LimpidError(
                f"the text has {len(store.ids)} tokens, fewer than one window of model.context + 1 = {context + 1}; "
                "bring more text or set a smaller model.context."
            )
        self.store, self.context, self.rows, self.seed = store, context, rows, seed
        self.windows = max(1, (len(store.ids) - 1) // context - 1)
        self._order = EpochOrder(self.windows, seed, "text")

    def __getitem__(self, step: int) -> Batch:
        starts = [self._start(step * self.rows + row) for row in range(self.rows)]
        tokens = np.stack([self.store.ids[s : s + self.context + 1] for s in starts]).astype(np.int64)
        ids = torch.from_numpy(tokens)
        return Batch(ids[:, :-1], ids[:, 1:], torch.ones(len(starts), self.context))

    def _start(self, index: int) -> int:
        epoch, window = self._order[index]
        slack = len(self.store.ids) - 1 - self.windows * self.context
        offset = int(generator(self.seed, "offset", epoch).integers(slack + 1))
        return offset + window * self.context


class PackedBatches:
    """Whole conversations packed into rows, each seeing only itself; every row once an epoch, in random order."""

    def __init__(self, packed: Batch, rows: int, seed: int) -> None:
        if len(packed.inputs) == 0:
            raise LimpidError("there are no conversations to train on; check sft.path.")
        self.packed, self.rows = packed, rows
        self._order = EpochOrder(len(packed.inputs), seed, "packed")

    def __getitem__(self, step: int) -> Batch:
        picked = torch.tensor([self._order[step * self.rows + row][1] for row in range(self.rows)])
        return Batch(*(None if part is None else part[picked] for part in self.packed))  # type: ignore[arg-type]


class MixedBatches:
    """Rows of several sources in one batch; their own row counts say in what proportion."""

    def __init__(self, sources: Sequence[Batches]) -> None:
        self.sources = sources

    def __getitem__(self, step: int) -> Batch:
        parts = [source[step] for source in self.sources]
        if len(parts) == 1:
            return parts[0]
        segments = [torch.zeros_like(p.inputs) if p.segments is None else p.segments for p in parts]
        return Batch(
            torch.cat([p.inputs for p in parts]),
            torch.cat([p.targets for p in parts]),
            torch.cat([p.weights for p in parts]),
            torch.cat(segments),
        )
