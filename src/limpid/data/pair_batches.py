"""Batches of sentence pairs: pairs of like length together, so many tokens a batch, a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator
from limpid.data.batches import Batch
from limpid.data.pairs import Pair
from limpid.text.tokenizer import Tokenizer


class Sentences(NamedTuple):
    """Token ids of many sentences end to end: sentence i is ``ids[starts[i] : starts[i + 1]]``."""

    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many sentences there are."""
        return len(self.starts) - 1

    def sentence(self, index: int) -> npt.NDArray[np.int32]:
        return self.ids[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.starts)


class EncodedPairs(NamedTuple):
    """Both sides, each sentence closed by the end token; left_out: pairs too long for the context."""

    source: Sentences
    target: Sentences
    left_out: int


def encode_pairs(pairs: Iterable[Pair], tokenizer: Tokenizer, end: int, longest: int) -> EncodedPairs:
    """Encode pairs, leaving out those of which a side has more than ``longest`` tokens, ``end`` included."""
    sides: tuple[list[npt.NDArray[np.int32]], list[npt.NDArray[np.int32]]] = ([], [])
    left_out = 0
    for group in _grouped(pairs, 1024):
        sources = tokenizer.encode_batch([pair.source for pair in group])
        targets = tokenizer.encode_batch([pair.target for pair in group])
        for source, target in zip(sources, targets, strict=True):
            if max(len(source), len(target)) + 1 > longest:
                left_out += 1
                continue
            sides[0].append(np.array([*source, end], dtype=np.int32))
            sides[1].append(np.array([*target, end], dtype=np.int32))
    return EncodedPairs(_joined(sides[0]), _joined(sides[1]), left_out)


class PairBatches:
    """Batches of about ``tokens`` places (rows x the longer side's length), every pair once an epoch.

    Pairs are sorted by their lengths, pairs of the same lengths in an order drawn from (seed, epoch), and cut into
    batches, which are visited in an order drawn from (seed, epoch) too. Lengths do not change between epochs, so the
    cuts do not either, and batch ``step`` is found without those before it. Rows are filled up to a multiple of
    ``processes`` with empty ones of weight 0, so that the batch can be shared.
    """

    def __init__(self, pairs: EncodedPairs, tokens: int, seed: int, start: int, end: int, processes: int = 1) -> None:
        if not pairs.source.size:
            raise LimpidError("there are no sentence pairs to train on; check seq2seq.path and model.context.")
        self.pairs, self.seed, self.begin, self.end, self.processes = pairs, seed, start, end, processes
        self._lengths = np.stack([pairs.target.lengths, pairs.source.lengths])  # sorted by the first, then the second
        order = np.lexsort((self._lengths[1], self._lengths[0]))
        self._cuts = list(_cuts(self._lengths.max(0)[order], tokens))
        self._epoch: tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return len(self._cuts)

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(step, len(self._cuts))
        if self._epoch is None or self._epoch[0] != epoch:
            draw = generator(self.seed, "pairs", epoch)
            tie = draw.permutation(self.pairs.source.size)
            order = np.lexsort((tie, self._lengths[1], self._lengths[0]))
            self._epoch = epoch, order, draw.permutation(len(self._cuts))
        _, order, visits = self._epoch
        begin, stop = self._cuts[visits[place]]
        return make_batch(self.pairs, order[begin:stop].tolist(), self.begin, self.end, self.processes)


def make_batch(pairs: EncodedPairs, chosen: Sequence[int], start: int, end: int, processes: int = 1) -> Batch:
    """The chosen pairs side by side: targets are the target's tokens, inputs the same one place later, after ``start``.

    Padding holds ``end``: in targets its weight is 0, in sources it lies beyond ``source_lengths``.
    """
    rows = -(-len(chosen) // processes) * processes
    sources = [pairs.source.sentence(i) for i in chosen]
    targets = [pairs.target.sentence(i) for i in chosen]
    source = np.full((rows, max(map(len, sources))), end, dtype=np.int64)
    target = np.full((rows, max(map(len, targets))), end, dtype=np.int64)
    weights = np.zeros(target.shape, dtype=np.float32)
    lengths = np.ones(rows, dtype=np.int64)
    for row, (theirs, ours) in enumerate(zip(sources, targets, strict=True)):
        source[row, : len(theirs)] = theirs
        target[row, : len(ours)] = ours
        weights[row, : len(ours)] = 1
        lengths[row] = len(theirs)
    inputs = np.full_like(target, start)
    inputs[:, 1:] = target[:, :-1]
    return Batch(
        torch.from_numpy(inputs),
        torch.from_numpy(target),
        torch.from_numpy(weights),
        source=torch.from_numpy(source),
        source_lengths=torch.from_numpy(lengths),
    )


def in_order(pairs: EncodedPairs, tokens: int, start: int, end: int) -> Iterator[Batch]:
    """Every pair once, in batches as `PairBatches` cuts them, shortest first: for measuring."""
    lengths = np.stack([pairs.target.lengths, pairs.source.lengths])
    order = np.lexsort((lengths[1], lengths[0]))
    for begin, stop in _cuts(lengths.max(0)[order], tokens):
        yield make_batch(pairs, order[begin:stop].tolist(), start, end)


def _cuts(longest: npt.NDArray[np.int64], tokens: int) -> Iterator[tuple[int, int]]:
    """Cut sorted pairs, of which each row needs ``longest`` places, into (begin, stop) of at most ``tokens`` places."""
    begin, width = 0, 0
    for place, need in enumerate(longest.tolist()):
        wider = max(width, need)
        if place > begin and (place - begin + 1) * wider > tokens:
            yield begin, place
            begin, wider = place, need
        width = wider
    yield begin, len(longest)


def _joined(sentences: list[npt.NDArray[np.int32]]) -> Sentences:
    starts = np.zeros(len(sentences) + 1, dtype=np.int64)
    np.cumsum([len(s) for s in sentences], out=starts[1:])
    return Sentences(np.concatenate(sentences) if sentences else np.zeros(0, dtype=np.int32), starts)


def _grouped(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    iterator = iter(pairs)
    while group := list(islice(iterator, size)):
        yield group
