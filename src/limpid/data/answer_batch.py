"""Answers that were drawn, one a row: what policy gradients learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

LENGTH_STEP = 16
"""Rows are padded to a multiple of this, so that buffers fit again."""


class AnswerBatch(NamedTuple):
    """Rows of prompt and answer, or a share of them. T places a row; place t predicts token t + 1 of the text.

    inputs, targets: (B, T) int64. weights: (B, T) float32, how much each place counts; above 0 on answer tokens alone.
    drawn: (B,) bool, the row is an answer of the policy; else it is given text, whose probability is raised (mix).
    advantages: (B, T) float32. logprobs: (B, T), natural logs of the probabilities the tokens were drawn with.
    reference: (B, T), the same under the reference model, at the same temperature; zeros where nobody asked for them.
    values, returns: (B, T), what the value model expected and what it should have; zeros without one.
    counts: (B,) float32, 1 for a row that is more than padding: the weight of the batch is the number of its rows, and
    ``weights`` are scaled so that the mean over rows is the mean that the algorithm takes.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    drawn: Tensor
    advantages: Tensor
    logprobs: Tensor
    reference: Tensor
    values: Tensor
    returns: Tensor
    counts: Tensor

    def rows(self, start: int, stop: int) -> AnswerBatch:
        """The rows start..stop-1."""
        return AnswerBatch(*(part[start:stop] for part in self))

    def pick(self, rows: Tensor) -> AnswerBatch:
        """The rows of these numbers, in their order."""
        return AnswerBatch(*(part[rows] for part in self))

    def to(self, device: torch.device) -> AnswerBatch:
        return AnswerBatch(*(part.to(device, non_blocking=True) for part in self))

    @property
    def total_weight(self) -> float:
        return float(self.counts.sum())

    @property
    def lengths(self) -> Tensor:
        """(B,) places up to the last that counts."""
        places = torch.arange(1, self.inputs.shape[1] + 1, device=self.inputs.device)
        return ((self.weights > 0) * places).amax(1)

    @property
    def positions(self) -> int:
        """How many tokens there are to compute: no padding, and a prompt once for all its answers (see `folding`)."""
        lengths, begins = self.lengths.tolist(), self._begins()
        return sum(begins[rows[0]] + sum(lengths[row] - begins[row] for row in rows) for rows in self.groups())

    def groups(self) -> list[list[int]]:
        """The numbers of the rows, those with one prompt together, in the order in which the prompts come."""
        inputs, found = self.inputs.numpy(), dict[bytes, list[int]]()
        for row, begin in enumerate(self._begins()):
            found.setdefault(inputs[row, : begin + 1].tobytes(), []).append(row)
        return [*found.values()]

    def _begins(self) -> list[int]:
        """Of each row, the first place that counts; 0 where none does."""
        begins: list[int] = (self.weights > 0).int().argmax(1).tolist()
        return begins

    def trimmed(self) -> AnswerBatch:
        """Without the padding that all rows share, but for a multiple of `LENGTH_STEP`."""
        length = up(int(self.lengths.max()) if len(self.inputs) else 0, LENGTH_STEP)
        return AnswerBatch(*(part[:, :length] if part.dim() == 2 else part for part in self))


def up(value: int, multiple: int) -> int:
    """``value`` rounded up."""
    return -(-value // multiple) * multiple


def grown(batch: AnswerBatch, rows: int, length: int) -> AnswerBatch:
    """The batch with zeros after its last row and place."""
    more, longer = rows - len(batch.inputs), length - batch.inputs.shape[1]
    return AnswerBatch(
        *(torch.nn.functional.pad(p, (0, longer, 0, more) if p.dim() == 2 else (0, more)) for p in batch)
    )


def joined(batches: list[AnswerBatch]) -> AnswerBatch:
    """All rows in one batch, as long as the longest."""
    length = max(batch.inputs.shape[1] for batch in batches)
    parts = [grown(batch, len(batch.inputs), length) for batch in batches]
    return AnswerBatch(*(torch.cat(column) for column in zip(*parts, strict=True)))


def rows_of(
    prompts: list[list[int]],
    answers: list[list[int]],
    *,
    drawn: bool,
    per_token: Mapping[str, list[list[float]]] | None = None,
) -> AnswerBatch:
    """One row a (prompt, answer), each answer token of weight 1.

    per_token: fields of `AnswerBatch`, each with a number for every answer token of every row; the others are zeros.
    """
    longest = max((len(p) + len(a) for p, a in zip(prompts, answers, strict=True)), default=1) - 1
    count, length = len(answers), up(max(1, longest), LENGTH_STEP)
    inputs = torch.zeros(count, length, dtype=torch.int64)
    targets = inputs.clone()
    numbers = {
        name: torch.zeros(count, length)
        for name in ("weights", "advantages", "logprobs", "reference", "values", "returns")
    }
    for row, (asked, answer) in enumerate(zip(prompts, answers, strict=True)):
        ids = torch.tensor(asked + answer)
        inputs[row, : len(ids) - 1], targets[row, : len(ids) - 1] = ids[:-1], ids[1:]
        spoken = slice(len(asked) - 1, len(ids) - 1)
        numbers["weights"][row, spoken] = 1.0
        for name, values in (per_token or {}).items():
            numbers[name][row, spoken] = torch.tensor(values[row], dtype=torch.float32)
    return AnswerBatch(
        inputs=inputs, targets=targets, drawn=torch.full((count,), drawn), counts=torch.ones(count), **numbers
    )
