"""The forward pass of a step: tokens of many answers through the model, into the cache, and out as scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from limpid.inference.cache import Cache
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

    states: (R, D) the final hidden states they were made of. All of them only until the next step is computed, which
    may write over them.
    """

    logits: Tensor
    log_total: Tensor
    best: Tensor
    states: Tensor

    def first(self, count: int) -> Scores:
        """Those of the first tokens."""
        return self if count == len(self.best) else Scores(*(tensor[:count] for tensor in self))

    def of(self, places: Sequence[int]) -> Scores:
        """Those of some of the tokens."""
        if len(places) == len(self.best) and list(places) == list(range(len(places))):
            return self
        chosen = torch.tensor(places, dtype=torch.int64, device=self.best.device)
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
        scores: list[Scores] = []
        if speaking:
            spoken = self._speak(rows, pieces[:speaking])
            scores.append(spoken.of([place for place, piece in enumerate(pieces[:speaking]) if piece.wanted]))
        for group in _alike(pieces[speaking:]):
            read = zip(group, self._read(rows, group), strict=True)
            scores.append(self._score(torch.cat([states[len(p.ids) - p.wanted : len(p.ids)] for p, states in read])))
        return scores[0] if len(scores) == 1 else Scores(*map(torch.cat, zip(*scores, strict=True)))

    def _speak(self, rows: CacheRows, pieces: Sequence[Piece]) -> Scores:
        """Of each of the rows, which take one token each, what comes next."""
        first, count = pieces[0].row, len(pieces)
        asked = said(rows, pieces, min(bucket(count), rows.count - first))
        reach = min(rows.slots, up(int(asked[1, :count].max()) + 1, REACH_STEP))
        cache = rows.layers(slice(first, first + asked.shape[1]))
        return self.next_of(asked.to(self.device), cache, reach).first(count)

    def next_of(self, asked: Tensor, cache: Cache, reach: int) -> Scores:
        """The scores after one token in each row of ``cache``.

        Args:
            asked: (2, R) integers: the tokens, and the slots they go to.
            reach: how many slots attention looks at.
        """
        ids, slots = asked[:, :, None]
        states = self.model(ids, dtype=self.dtype, positions=slots, cache=cache, seen=reach)
        return self._score(states[:, 0])

    def _score(self, states: Tensor) -> Scores:
        logits = self.model.head(states).float()
        return Scores(logits, logits.logsumexp(-1), logits.argmax(-1), states)

    def _read(self, rows: CacheRows, pieces: Sequence[Piece]) -> Tensor:
        """Final hidden states (n, T, D) of pieces padded to one length."""
        first = pieces[0].row
        length = up(max(len(piece.ids) for piece in pieces), READ_STEP)
        ids = torch.zeros(len(pieces), length, dtype=torch.int64)
        for place, piece in enumerate(pieces):
            ids[place, : len(piece.ids)] = torch.tensor(piece.ids)
        starts = torch.tensor([piece.start for piece in pieces])
        places = (starts[:, None] + torch.arange(length)).clamp_(max=rows.slots - 1)
        reach = min(rows.slots, up(int(places.max()) + 1, REACH_STEP))
        cache = rows.layers(slice(first, first + len(pieces)))
        ids, places = ids.to(self.device), places.to(self.device)
        return self.model(ids, dtype=self.dtype, positions=places, cache=cache, seen=reach)


def said(rows: CacheRows, pieces: Sequence[Piece], padded: int) -> Tensor:
    """(2, padded) on the CPU: the one token of each piece, and its slot.

    The rows after them ride along, so that there are few shapes: token 0, into the slot that they write next.
    """
    first, count = pieces[0].row, len(pieces)
    asked = torch.stack((torch.zeros(padded, dtype=torch.int64), rows.positions(slice(first, first + padded))))
    asked[:, :count] = torch.tensor([[piece.ids[0] for piece in pieces], [piece.start for piece in pieces]])
    return asked


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


def up(value: int, multiple: int) -> int:
    """``value`` rounded up to a multiple."""
    return -(-value // multiple) * multiple


def bucket(rows: int) -> int:
    """``rows`` rounded up to one of few numbers: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ..."""
    size = 1
    while size < rows:
        if size >= 2 and size + size // 2 >= rows:
            return size + size // 2
        size *= 2
    return size
