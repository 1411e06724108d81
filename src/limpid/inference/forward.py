"""The forward pass of a step: tokens of many answers through the model, into the cache, and out as scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from limpid.inference.rows import CacheRows
from limpid.models.decoder import Decoder

REACH_STEP = 32
"""Attention looks at a multiple of this many slots: each new shape costs oneDNN a kernel, in time and in memory."""
READ_STEP = 8
"""Prompts are read in multiples of so many tokens, for the same reason."""
PADDED_TOKENS = 2048
"""Prompt tokens in one product, padding included."""


class Piece(NamedTuple):
    """Tokens that come next in one row of the cache: ``ids`` go to the slots ``start`` and after.

    wanted: after how many of them, the last ones, the scores of the next token are asked for.
    """

    row: int
    ids: list[int]
    start: int
    wanted: int


class Scores(NamedTuple):
    """Of R tokens to come: logits (R, V) float32; the log of the sum of their exponentials, and the best ids, (R,).

    states: (R, D) the final hidden states they were made of; theirs only until the next step is computed.
    """

    logits: Tensor
    log_total: Tensor
    best: Tensor
    states: Tensor

    def of(self, places: Sequence[int]) -> Scores:
        """Those of some of the tokens."""
        if len(places) == len(self.best) and list(places) == list(range(len(places))):
            return self
        chosen = torch.tensor(places, device=self.best.device)
        return Scores(*(tensor[chosen] for tensor in self))


class Forward(Protocol):
    """Computes the pieces of a step.

    Pieces stand in the order of their rows, which follow each other without a gap; those of one token that speak come
    first, from row 0 on. Returns the scores that are wanted, piece by piece.
    """

    name: str
    packs: bool
    """Whether it has made weights of its own out of the model's, which nobody reads then (see `weights.let_go`)."""

    def __call__(self, rows: CacheRows, pieces: Sequence[Piece]) -> Scores: ...

    def refresh(self) -> None:
        """Take over the present weights of the model, where they were copied."""


class TorchForward:
    """`Forward` as the model itself computes it, on any device: the plain twin of the C kernels."""

    name = "torch"
    packs = False

    def __init__(self, model: Decoder) -> None:
        self.model = model
        self.dtype = model.embedding.weight.dtype
        self.device = model.embedding.weight.device

    def refresh(self) -> None:
        """Nothing was copied."""

    def __call__(self, rows: CacheRows, pieces: Sequence[Piece]) -> Scores:
        speaking = 0
        while speaking < len(pieces) and len(pieces[speaking].ids) == 1:
            speaking += 1
        states: list[Tensor] = []  # of each piece, (wanted, D)
        if speaking:
            spoken = self._speak(rows, pieces[:speaking])
            states += [spoken[i : i + piece.wanted] for i, piece in enumerate(pieces[:speaking])]
        for group in _alike(pieces[speaking:]):
            read = self._read(rows, group)
            states += [read[i, len(p.ids) - p.wanted : len(p.ids)] for i, p in enumerate(group)]
        found = torch.cat(states)
        logits = self.model.head(found).float()
        return Scores(logits, logits.logsumexp(-1), logits.argmax(-1), found)

    def _speak(self, rows: CacheRows, pieces: Sequence[Piece]) -> Tensor:
        """Final hidden states (n, D) of rows that each take one token."""
        first, count = pieces[0].row, len(pieces)
        padded = min(_bucket(count), rows.count - first)  # a few rows ride along, for few shapes
        ids = torch.zeros(padded, 1, dtype=torch.int64)
        ids[:count, 0] = torch.tensor([piece.ids[0] for piece in pieces])
        positions = rows.positions(slice(first, first + padded))
        positions[:count] = torch.tensor([piece.start for piece in pieces])
        reach = min(rows.slots, _up(int(positions[:count].max()) + 1, REACH_STEP))
        return self._forward(rows, ids, positions[:, None], slice(first, first + padded), reach)[:count, 0]

    def _read(self, rows: CacheRows, pieces: Sequence[Piece]) -> Tensor:
        """Final hidden states (n, T, D) of pieces padded to one length."""
        first = pieces[0].row
        length = _up(max(len(piece.ids) for piece in pieces), READ_STEP)
        ids = torch.zeros(len(pieces), length, dtype=torch.int64)
        for place, piece in enumerate(pieces):
            ids[place, : len(piece.ids)] = torch.tensor(piece.ids)
        starts = torch.tensor([piece.start for piece in pieces])
        places = (starts[:, None] + torch.arange(length)).clamp_(max=rows.slots - 1)
        reach = min(rows.slots, _up(int(places.max()) + 1, REACH_STEP))
        return self._forward(rows, ids, places, slice(first, first + len(pieces)), reach)

    def _forward(self, rows: CacheRows, ids: Tensor, positions: Tensor, places: slice, reach: int) -> Tensor:
        ids, positions = ids.to(self.device), positions.to(self.device)
        return self.model(ids, dtype=self.dtype, positions=positions, cache=rows.layers(places), seen=reach)


def _alike(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Consecutive pieces that are computed as one product, few enough that it stays small."""
    group: list[Piece] = []
    for piece in pieces:
        longest = max((len(p.ids) for p in (*group, piece)), default=0)
        if group and (len(group) + 1) * longest > PADDED_TOKENS:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _bucket(rows: int) -> int:
    """``rows`` rounded up to one of few numbers: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ..."""
    size = 1
    while size < rows:
        if size >= 2 and size + size // 2 >= rows:
            return size + size // 2
        size *= 2
    return size
