"""Batches for telling masked tokens (Devlin et al. 2019, section 3.1), a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch

from limpid.core.seeding import generator
from limpid.data.batches import Batch, Batches

MASKED = 0.15
"""Share of the tokens that are to be told."""
HIDDEN, REPLACED = 0.8, 0.1
"""Of those, the share behind the mask, and the share behind a random token; the rest stand as they are."""


class MaskedBatches:
    """The rows of ``source``, some tokens hidden; targets are the tokens as they were, weights 1 at the chosen ones.

    vocab_size: random tokens are drawn from 0 .. vocab_size - 1. kept: ids that are never chosen. The choice is drawn
    from (seed, step); every row has at least one chosen token, unless all its tokens are kept ones.
    """

    def __init__(self, source: Batches, seed: int, *, mask: int, vocab_size: int, kept: Collection[int] = ()) -> None:
        self.source, self.seed, self.mask, self.vocab_size = source, seed, mask, vocab_size
        self.kept = np.array(sorted(kept), dtype=np.int64)

    def __getitem__(self, step: int) -> Batch:
        tokens = self.source[step].inputs.numpy()
        draw = generator(self.seed, "mask", step)
        order = np.where(np.isin(tokens, self.kept), 2.0, draw.random(tokens.shape))
        chosen = (order < MASKED) | ((order == order.min(1, keepdims=True)) & (order < 1))
        inputs = _hide(tokens, chosen, draw, self.mask, self.vocab_size)
        return Batch(
            torch.from_numpy(inputs), torch.from_numpy(tokens.copy()), torch.from_numpy(chosen.astype(np.float32))
        )


def _hide(
    tokens: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    draw: np.random.Generator,
    mask: int,
    vocab_size: int,
) -> npt.NDArray[np.int64]:
    fate = draw.random(tokens.shape)
    random = draw.integers(vocab_size, size=tokens.shape)
    hidden = np.where(chosen & (fate < HIDDEN), mask, tokens)
    return np.where(chosen & (fate >= HIDDEN) & (fate < HIDDEN + REPLACED), random, hidden)
