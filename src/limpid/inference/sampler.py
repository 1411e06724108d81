"""From logits to the next token."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from limpid.core.recipe import Section


class Sampling(Section):
    """How an answer is drawn.

    temperature: 0 takes the most probable token; below 1 sharpens, above 1 flattens.
    top_k: only the k most probable tokens (0: all). top_p: the fewest tokens whose probabilities sum to p (Holtzman et
    al. 2020). min_p: tokens at least this fraction as probable as the best (Nguyen et al. 2024).
    repetition_penalty: scores of tokens seen before are divided (negative ones multiplied) by it (Keskar et al. 2019).
    seed: the same seed gives the same answer, whatever else runs beside it. stop: strings that end the answer.
    alternatives: how many candidates to report for each token.
    """

    temperature: Annotated[float, Field(ge=0, le=10)] = 0.8
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 200
    seed: int | None = None
    stop: tuple[str, ...] = ()
    alternatives: Annotated[int, Field(ge=0, le=100)] = 0


def penalise_repeats(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Lower the scores of tokens marked in ``seen`` (B, V) bool; logits (B, V)."""
    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def shape_distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities (B, V) float32 after temperature, top-k, top-p and min-p, in that order, each renormalised.

    ``temperature`` 0 puts everything on the best token.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    scaled = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        least = scaled.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    probabilities = scaled.softmax(-1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True)
        beyond = ordered.cumsum(-1) - ordered >= sampling.top_p  # the mass before a token already suffices
        probabilities = probabilities.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), 0.0)
    if sampling.min_p > 0:
        least = probabilities.amax(-1, keepdim=True) * sampling.min_p
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    return probabilities / probabilities.sum(-1, keepdim=True)


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution: probabilities (B, V), uniform (B,) in [0, 1) -> token ids (B,).

    One number decides one row, so a row's token depends on its own seed and nothing else in the batch.
    """
    cumulative = probabilities.double().cumsum(-1)
    target = uniform.double()[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(1).clamp_(max=probabilities.shape[-1] - 1)
