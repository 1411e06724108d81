"""Batches of task examples: sequences padded to one length, with the length of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from limpid.core.seeding import generator
from limpid.data.batches import EpochOrder
from limpid.text.task_inputs import Form, render, task_tokens
from limpid.text.tokenizer import Tokenizer

POOL = 16
"""Steps whose examples are grouped by length."""
ROUND = 8
"""Lengths are rounded up to a multiple of this: every new shape costs a CPU kernel."""


class TaskBatch(NamedTuple):
    """Examples of S sequences each.

    inputs: (B, S, T) int64. lengths: (B, S) int64, tokens of each sequence; 0 where an example has fewer sequences.
    labels: (B,) float32, the index of the right class or choice, or a score. starts: (B, S) int64, where the answers of
    conversations begin; None where the sequences are none.
    """

    inputs: Tensor
    lengths: Tensor
    labels: Tensor
    starts: Tensor | None = None

    def rows(self, start: int, stop: int) -> TaskBatch:
        """The examples start..stop-1."""
        return TaskBatch(*(None if part is None else part[start:stop] for part in self))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> TaskBatch:
        return TaskBatch(*(None if part is None else part.to(device, non_blocking=True) for part in self))  # type: ignore[arg-type]

    @property
    def total_weight(self) -> float:
        """Every example counts the same, however many sequences and tokens it has."""
        return float(len(self.labels))


class Encoded(NamedTuple):
    """The token sequences of each example, and how many examples were cut to fit."""

    sequences: list[list[list[int]]]
    cut: int


def encode(texts: Sequence[Sequence[str]], form: Form, tokenizer: Tokenizer, context: int) -> Encoded:
    """Examples' texts as sequences of at most ``context`` tokens; see `render`."""
    tokens = task_tokens(tokenizer)
    ids = iter(tokenizer.encode_batch([text for each in texts for text in each]))
    rendered = [render(form, [next(ids) for _ in each], tokens, context) for each in texts]
    return Encoded([r.sequences for r in rendered], sum(r.cut for r in rendered))


class TaskExamples:
    """Encoded examples: each a list of token sequences, and its label as a number; perhaps the start of each answer."""

    def __init__(
        self, sequences: Sequence[list[list[int]]], labels: Sequence[float], starts: Sequence[list[int]] | None = None
    ) -> None:
        self.sequences, self.starts = sequences, starts
        self.labels = np.asarray(labels, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.sequences)

    def batch(self, picked: Sequence[int]) -> TaskBatch:
        """These examples, padded to the longest of their sequences, rounded up."""
        chosen = [self.sequences[i] for i in picked]
        longest = max(len(sequence) for sequences in chosen for sequence in sequences)
        width = -(-longest // ROUND) * ROUND
        count = max(map(len, chosen))
        inputs = torch.zeros(len(chosen), count, width, dtype=torch.int64)
        lengths = torch.zeros(len(chosen), count, dtype=torch.int64)
        for row, sequences in enumerate(chosen):
            for place, sequence in enumerate(sequences):
                inputs[row, place, : len(sequence)] = torch.tensor(sequence)
                lengths[row, place] = len(sequence)
        starts = None if self.starts is None else torch.tensor([self.starts[i] for i in picked])
        return TaskBatch(inputs, lengths, torch.from_numpy(self.labels[np.asarray(picked)]), starts)


class Examples(Protocol):
    """Examples of several token sequences each, of which some become a batch."""

    @property
    def sequences(self) -> Sequence[list[list[int]]]: ...

    def __len__(self) -> int: ...

    def batch(self, picked: Sequence[int]) -> Any: ...


class TaskBatches:
    """``rows`` examples a step; every example once an epoch, in random order.

    Each run of `POOL` steps shares its examples out by length, so that little is padded: the examples of a pool are
    those of a random order, and so is the order of the pool's batches.
    """

    def __init__(self, examples: Examples, rows: int, seed: int) -> None:
        self.examples, self.rows, self.seed = examples, min(rows, len(examples)), seed
        self._order = EpochOrder(len(examples), seed, "task")
        self._pool: tuple[int, list[list[int]]] | None = None

    def __getitem__(self, step: int) -> Any:
        number, place = divmod(step, POOL)
        if self._pool is None or self._pool[0] != number:
            first = number * POOL * self.rows
            picked = [self._order[first + i][1] for i in range(POOL * self.rows)]
            picked.sort(key=lambda i: max(map(len, self.examples.sequences[i])))
            visits = generator(self.seed, "pool", number).permutation(POOL)
            self._pool = number, [picked[v * self.rows : (v + 1) * self.rows] for v in visits]
        return self.examples.batch(self._pool[1][place])


class WordDropout:
    """The same batches, with each token of a text left out at this rate, others at every step (Iyyer et al. 2015,
    section 2.3): no class can hang on one word. Control tokens stay.
    """

    def __init__(self, batches: TaskBatches, rate: float, control_tokens: Sequence[int], seed: int) -> None:
        self.batches, self.rate, self.seed = batches, rate, seed
        self.control_tokens = torch.tensor(control_tokens)

    def __getitem__(self, step: int) -> TaskBatch:
        batch: TaskBatch = self.batches[step]
        inputs = batch.inputs
        drawn = torch.from_numpy(generator(self.seed, "word dropout", step).random(inputs.shape))
        stays = (drawn >= self.rate) | torch.isin(inputs, self.control_tokens)
        stays &= torch.arange(inputs.shape[2]) < batch.lengths[:, :, None]
        lengths = stays.sum(2)
        first = (~stays).long().argsort(dim=2, stable=True)  # what stays, in its order, then the rest
        width = -(-int(lengths.max()) // ROUND) * ROUND
        inputs = inputs.gather(2, first).masked_fill(torch.arange(inputs.shape[2]) >= lengths[:, :, None], 0)
        return batch._replace(inputs=inputs[:, :, :width], lengths=lengths)
