"""From logits to the drawn token in visible steps: the slow, obvious twin of `sampler.shape_distribution`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.inference.sampler import Sampling, draw


class Shaping(NamedTuple):
    """One place's distribution on its way to the draw; rows are over the vocabulary, (V,).

    logits; scaled: over the temperature. top_k: probabilities of the k best, or of all. top_p, min_p: what each filter
    keeps of the one before, the tokens it drops at 0, the rest as it was. final: that, summing to one.
    order: token ids, most probable first.
    """

    logits: Tensor
    scaled: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    final: Tensor
    order: Tensor


def shape_in_steps(logits: Tensor, sampling: Sampling) -> Shaping:
    """The steps for logits (V,); temperature 0 keeps the most probable token alone. Penalties are not among them.

    Raises:
        LimpidError: the settings adjust logits by what was said; this shows one place by itself.
    """
    if sampling.adjusts:
        raise LimpidError("penalties and biases depend on the answer so far; the steps show one place by itself.")
    logits = logits.float()
    order = logits.sort(descending=True, stable=True).indices
    if sampling.greedy:
        only = torch.zeros_like(logits)
        only[logits.argmax()] = 1.0
        return Shaping(logits, logits, only, only, only, only, order)
    scaled = logits / sampling.temperature
    kept = torch.ones_like(logits, dtype=torch.bool)
    if 0 < sampling.top_k < len(logits):
        kept = scaled >= scaled[order[sampling.top_k - 1]]
    top_k = scaled.masked_fill(~kept, -torch.inf).softmax(-1)
    top_p = top_k
    if sampling.top_p < 1:
        falling = top_k.sort(descending=True)
        before = falling.values.cumsum(-1) - falling.values
        suffices = torch.zeros_like(kept).scatter_(0, falling.indices, before >= sampling.top_p)
        top_p = top_k.masked_fill(suffices, 0.0)
    min_p = top_p
    if sampling.min_p > 0:
        min_p = top_p.masked_fill(top_p < top_p.max() * sampling.min_p, 0.0)
    final = min_p if sampling.top_p == 1 and sampling.min_p == 0 else min_p / min_p.sum()
    return Shaping(logits, scaled, top_k, top_p, min_p, final, order)


def drawn(shaping: Shaping, uniform: float) -> int:
    """The token id that a number in [0, 1) draws, exactly as the engine draws it."""
    return int(draw(shaping.final[None], torch.tensor([uniform], dtype=torch.float64))[0])
