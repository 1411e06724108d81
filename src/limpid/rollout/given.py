"""Given text beside drawn answers, against forgetting: right answers that are shown, and pretraining text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from limpid.core.errors import LimpidError
from limpid.data.answer_batch import AnswerBatch, rows_of
from limpid.data.batches import Batches
from limpid.data.questions import Stream
from limpid.rollout.rollouts import normalised
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer

Mix = Callable[[int], AnswerBatch]
"""The rows of an update. Their loss is a coefficient times the mean of ``-log p`` over their tokens."""


def demonstrations(stream: Stream, tokenizer: Tokenizer, rows: int, coefficient: float, context: int) -> Mix:
    """So many right answers an update, with the end of the turn; none longer than the context."""

    def at(step: int) -> AnswerBatch:
        prompts, answers = [], []
        for index in range(step * rows, (step + 1) * rows):
            question = stream[index]
            if question.expected is None:
                raise LimpidError("a question has no expected answer that could be shown: set demonstrations = 0.")
            asked = prompt(tokenizer, question.messages)
            answer = [*tokenizer.encode(question.expected), tokenizer.end_of_turn]
            if len(asked) + len(answer) <= context + 1:
                prompts.append(asked)
                answers.append(answer)
        return _weighted(rows_of(prompts, answers, drawn=False), coefficient)

    return at


def text(batches: Batches, coefficient: float) -> Mix:
    """Windows of pretraining text (the "ptx" of Ouyang et al. 2022, equation 2)."""

    def at(step: int) -> AnswerBatch:
        rows = batches[step]
        nothing = torch.zeros_like(rows.weights)
        count = len(rows.inputs)
        return _weighted(
            AnswerBatch(
                rows.inputs, rows.targets, rows.weights, torch.zeros(count, dtype=torch.bool), nothing, nothing,
                nothing, nothing, nothing, torch.ones(count),
            ),
            coefficient,
        )  # fmt: skip

    return at


def mixed(parts: Sequence[Mix]) -> Callable[[int], list[AnswerBatch]]:
    """All of them; what gives no row is left out."""
    return lambda step: [batch for batch in (part(step) for part in parts) if len(batch.inputs)]


def _weighted(batch: AnswerBatch, coefficient: float) -> AnswerBatch:
    batch = normalised(batch, "tokens", 1)
    return batch._replace(weights=batch.weights * coefficient)
