"""Pairs of answers as token ids, and as batches: for the reward model, and for learning from preferences directly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.data.batches import TextBatches
from limpid.data.preferences import Preference
from limpid.data.task_batches import ROUND, TaskBatches, TaskExamples
from limpid.text.chat import Answered, answered
from limpid.text.tokenizer import Tokenizer


class EncodedPreferences(NamedTuple):
    """pairs: those that fit. chosen, rejected: ids up to the end of the answer. too_long: how many did not fit."""

    pairs: list[Preference]
    chosen: list[Answered]
    rejected: list[Answered]
    too_long: int

    @property
    def examples(self) -> TaskExamples:
        """For a `TaskModel` of task "reward": two sequences an example, the better one first."""
        both = list(zip(self.chosen, self.rejected, strict=True))
        starts = [[chosen.start, rejected.start] for chosen, rejected in both]
        return TaskExamples([[chosen.ids, rejected.ids] for chosen, rejected in both], [0.0] * len(both), starts)


def encode_preferences(pairs: Iterable[Preference], tokenizer: Tokenizer, context: int) -> EncodedPreferences:
    """Render both answers of each pair; pairs of which one is longer than ``context`` are left out and counted.

    Raises:
        LimpidError: none is left.
    """
    encoded = EncodedPreferences([], [], [], 0)
    too_long = 0
    for pair in pairs:
        chosen, rejected = (answered(tokenizer, pair.prompt, text) for text in (pair.chosen, pair.rejected))
        if max(len(chosen.ids), len(rejected.ids)) > context:
            too_long += 1
            continue
        encoded.pairs.append(pair)
        encoded.chosen.append(chosen)
        encoded.rejected.append(rejected)
    if not encoded.pairs:
        raise LimpidError(f"none of the {too_long} pairs fits model.context = {context}; use a model that reads more.")
    return encoded._replace(too_long=too_long)


class PreferenceBatch(NamedTuple):
    """Pairs of answers, and rows of text beside them.

    inputs: (B, S, T) int64, the better answer, the worse one and, where S is 3, the better answer to another prompt
    after this one. lengths, starts: (B, S), where each answer ends and begins. text_inputs, text_targets: (R, C).
    text_weights: (R, C), what each token of text counts: they add up to the number of pairs times the text's weight.
    """

    inputs: Tensor
    lengths: Tensor
    starts: Tensor
    text_inputs: Tensor
    text_targets: Tensor
    text_weights: Tensor

    def rows(self, start: int, stop: int) -> PreferenceBatch:
        """The pairs start..stop-1, with the share of the text that falls to them."""
        pairs, texts = len(self.inputs), len(self.text_inputs)
        stop = min(stop, pairs)
        part = slice(start * texts // pairs, stop * texts // pairs)
        return PreferenceBatch(*(each[start:stop] for each in self[:3]), *(each[part] for each in self[3:]))

    def sequences(self, start: int, stop: int) -> PreferenceBatch:
        """Of every pair, the sequences start..stop-1; without the text."""
        some = (each[:, start:stop] for each in self[:3])
        return PreferenceBatch(*some, *(each[:0] for each in self[3:]))

    def to(self, device: torch.device) -> PreferenceBatch:
        return PreferenceBatch(*(part.to(device, non_blocking=True) for part in self))

    @property
    def total_weight(self) -> float:
        """Every pair counts the same."""
        return float(len(self.inputs))


class PreferenceExamples:
    """Encoded pairs as `TaskBatches` takes them.

    unrelated: add to each pair a third sequence, its prompt followed by the better answer of the next pair, cut where
    it would be longer than any other sequence.
    """

    def __init__(self, encoded: EncodedPreferences, *, unrelated: bool = False) -> None:
        self.rows = [[chosen, rejected] for chosen, rejected in zip(encoded.chosen, encoded.rejected, strict=True)]
        if unrelated:
            longest = max(len(answer.ids) for row in self.rows for answer in row)
            for row, other in zip(self.rows, [*encoded.chosen[1:], encoded.chosen[0]], strict=True):
                prompt = row[0].ids[: row[0].start]
                row.append(Answered([*prompt, *other.ids[other.start :]][:longest], len(prompt)))
        self.sequences = [[answer.ids for answer in row] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, picked: Sequence[int]) -> PreferenceBatch:
        """These pairs, padded to the longest of their sequences, rounded up; no text."""
        chosen = [self.rows[i] for i in picked]
        longest = max(len(answer.ids) for row in chosen for answer in row)
        width = -(-longest // ROUND) * ROUND
        inputs = torch.zeros(len(chosen), len(chosen[0]), width, dtype=torch.int64)
        for r, row in enumerate(chosen):
            for place, answer in enumerate(row):
                inputs[r, place, : len(answer.ids)] = torch.tensor(answer.ids)
        none = torch.zeros(0, 1, dtype=torch.int64)
        lengths = torch.tensor([[len(answer.ids) for answer in row] for row in chosen])
        starts = torch.tensor([[answer.start for answer in row] for row in chosen])
        return PreferenceBatch(inputs, lengths, starts, none, none, torch.zeros(0, 1))


class PreferenceBatches:
    """``rows`` pairs a step, each once an epoch, with rows of pretraining text beside them where there is ``text``.

    text_weight: of the text's mean cross-entropy beside the mean loss of the pairs.
    """

    def __init__(
        self,
        examples: PreferenceExamples,
        rows: int,
        seed: int,
        text: TextBatches | None = None,
        text_weight: float = 1,
    ) -> None:
        self._pairs = TaskBatches(examples, rows, seed)
        self.text, self.text_weight = text, text_weight

    def __getitem__(self, step: int) -> PreferenceBatch:
        batch: PreferenceBatch = self._pairs[step]
        if self.text is None:
            return batch
        text = self.text[step]
        weights = text.weights * (self.text_weight * batch.total_weight / text.total_weight)
        return batch._replace(text_inputs=text.inputs, text_targets=text.targets, text_weights=weights)
