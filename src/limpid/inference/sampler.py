"""From logits to the next token."""

from __future__ import annotations

from typing import Annotated

import numpy as np
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
    frequency_penalty, presence_penalty: taken off the score of a token for each time, and once if at all, that it is
    in the answer so far (as the API of OpenAI defines them). logit_bias: (token id, amount added to its score).
    seed: the same seed gives the same answer, whatever else runs beside it. stop: strings that end the answer.
    alternatives: how many candidates to report for each token.
    """

    temperature: Annotated[float, Field(ge=0, le=10)] = 0.8
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    max_tokens: Annotated[int, Field(ge=1)] = 200
    seed: Annotated[int, Field(ge=0)] | None = None
    stop: tuple[str, ...] = ()
    alternatives: Annotated[int, Field(ge=0, le=100)] = 0

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken: temperature 0, or so near that scores / temperature overflow."""
        return self.temperature < 1e-4

    @property
    def adjusts(self) -> bool:
        """Whether scores depend on what was said, or on a bias."""
        penalties = self.frequency_penalty or self.presence_penalty
        return bool(self.repetition_penalty != 1 or penalties or self.logit_bias)

    def with_seed(self) -> Sampling:
        """These settings with a seed: a fresh one where none is given."""
        if self.seed is not None:
            return self
        return self.model_copy(update={"seed": int(np.random.SeedSequence().generate_state(1)[0])})


def adjust(logits: Tensor, counts: Tensor, sampling: Sampling) -> Tensor:
    """Scores (B, V) after penalties and bias; counts (B, 2, V): of each token in the prompt and in the answer."""
    logits = penalise_repeats(logits, counts.sum(1) > 0, sampling.repetition_penalty)
    if sampling.frequency_penalty or sampling.presence_penalty:
        said = counts[:, 1]
        logits = logits - sampling.frequency_penalty * said - sampling.presence_penalty * (said > 0)
    if sampling.logit_bias:
        ids = torch.tensor([token for token, _ in sampling.logit_bias], device=logits.device)
        amounts = torch.tensor([amount for _, amount in sampling.logit_bias], device=logits.device)
        logits = logits.index_add(1, ids, amounts.expand(len(logits), -1))
    return logits


def penalise_repeats(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Lower the scores of tokens marked in ``seen`` (B, V) bool; logits (B, V)."""
    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def shape_distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """Probabilities (B, V) float32 after temperature (above 0), top-k, top-p and min-p, in that order.

    Top-p and min-p look at the probabilities that the filters before them leave, summing to one.
    """
    scaled = logits.float() / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        least = scaled.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    probabilities = scaled.softmax(-1)
    if sampling.top_p == 1 and sampling.min_p == 0:
        return probabilities
    if sampling.top_p < 1:
        ordered, order = _most_probable(probabilities, sampling.top_p)
        needed = ordered.cumsum(-1) - ordered < sampling.top_p  # the mass before a token does not suffice yet
        kept = torch.zeros_like(probabilities, dtype=torch.bool).scatter_(1, order, needed)
        probabilities = probabilities.masked_fill(~kept, 0.0)
    if sampling.min_p > 0:
        least = probabilities.amax(-1, keepdim=True) * sampling.min_p
        probabilities = probabilities.masked_fill(probabilities < least, 0.0)
    return probabilities / probabilities.sum(-1, keepdim=True)


def _most_probable(probabilities: Tensor, mass: float) -> tuple[Tensor, Tensor]:
    """Probabilities and token ids in falling order, at least as many as sum to ``mass`` in every row."""
    ordered, order = probabilities.topk(min(256, probabilities.shape[-1]), dim=-1)  # far cheaper than sorting them all
    if bool((ordered.sum(-1) < mass).any()):
        ordered, order = probabilities.sort(dim=-1, descending=True)
    return ordered, order


def draw(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution: probabilities (B, V), uniform (B,) in [0, 1) -> token ids (B,).

    One number decides one row, so a row's token depends on its own seed and nothing else in the batch.
    """
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:].contiguous()
    target = (uniform.double()[:, None] * total).to(cumulative.dtype)
    last = torch.searchsorted(cumulative, total)  # the last token that has any probability, where target rounds to 1
    return torch.searchsorted(cumulative, target, right=True).minimum(last).squeeze(1)


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids (B,), and the log-probability (B,) of each under the distribution it was drawn from."""
    if sampling.greedy:
        chosen = logits.argmax(-1)
        return chosen, torch.zeros(chosen.shape, device=chosen.device)
    return choose_from(shape_distribution(logits, sampling), uniform)


def choose_from(probabilities: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """As `choose`, of a distribution (B, V) that has its shape already."""
    chosen = draw(probabilities, uniform)
    return chosen, probabilities.gather(1, chosen[:, None]).squeeze(1).log()
