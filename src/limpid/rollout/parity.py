"""Whether engine and trainer mean the same probabilities: if not, what is trained is not what was drawn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.data.answer_batch import AnswerBatch

BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}
"""Largest mean difference of two log-probabilities of a token, in nats: rounding, not another temperature."""


class Parity(NamedTuple):
    """mean, largest: |log p by the engine - log p by the trainer| over so many answer tokens, in nats."""

    mean: float
    largest: float
    tokens: int

    def __str__(self) -> str:
        return (
            f"engine and trainer agree on {self.tokens} drawn tokens: log-probabilities differ by "
            f"{self.mean:.1e} on average, {self.largest:.1e} at most"
        )


def parity(batch: AnswerBatch, trainer: Tensor, dtype: torch.dtype) -> Parity:
    """Compare the log-probabilities that answers were drawn with and the trainer's (B, T) of the same tokens.

    Raises:
        LimpidError: they differ by more than rounding.
    """
    apart = (batch.logprobs - trainer)[batch.weights > 0].abs()
    found = Parity(float(apart.mean()), float(apart.max()), len(apart))
    bound = BOUNDS[dtype]
    if not found.mean <= bound:
        raise LimpidError(
            f"the engine drew {found.tokens} tokens with log-probabilities that differ by {found.mean:.2g} nats on "
            f"average from the trainer's (at most {bound:g} in {str(dtype).removeprefix('torch.')} is rounding): what "
            "would be trained is not what was drawn. Try train.dtype=float32, or LIMPID_NATIVE=0 for torch's kernels."
        )
    return found
