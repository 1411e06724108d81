"""One token for each of several requests, every one by its own settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from limpid.inference.forward import Scores
from limpid.inference.request import Request, TokenEvent
from limpid.inference.sampler import adjust, choose, shape_distribution


def choose_tokens(scores: Scores, requests: Sequence[Request]) -> list[TokenEvent]:
    """Draw the next token of each request from its row of the scores, and note it there.

    Requests of equal settings are drawn together; a row's token never depends on the others.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for place, request in enumerate(requests):
        groups[request.manner].append(place)
    picked = scores.best.clone()
    drawn = torch.zeros(len(requests), device=picked.device)
    allowed = _masked(scores.logits, requests)
    shaped: dict[int, Tensor] = {}  # of requests that report alternatives, the distribution the token is drawn from
    for places in groups.values():
        sampling = requests[places[0]].sampling
        if allowed is scores.logits and sampling.greedy and not sampling.adjusts:
            continue  # the best ones, with certainty
        whole = len(places) == len(requests)
        logits = allowed if whole else allowed[places]
        if sampling.adjusts:
            counts = torch.stack([requests[place].counts(logits.shape[1]) for place in places]).to(logits.device)
            logits = adjust(logits, counts, sampling)
        if not sampling.greedy and any(requests[place].sampling.alternatives for place in places):
            shaped |= zip(places, shape_distribution(logits, sampling), strict=True)
        noise = [0.0 if sampling.greedy else requests[place].noise() for place in places]
        uniform = torch.tensor(noise, dtype=torch.float64).to(logits.device)
        if whole:
            picked, drawn = choose(logits, sampling, uniform)
        else:
            picked[places], drawn[places] = choose(logits, sampling, uniform)
    own = scores.logits.gather(1, picked[:, None]).squeeze(1) - scores.log_total
    tokens = picked.tolist()
    tops = _alternatives(scores, requests)
    entropies, ranks = _surprise(scores, requests, picked)
    chances = [
        shaped[place][[i for i, _ in top]].tolist() if place in shaped else [float(i == token) for i, _ in top]
        for place, (token, top) in enumerate(zip(tokens, tops, strict=True))
    ]
    return [
        TokenEvent(request, token, logprob, sampled_logprob, top, chance, request.take(token), entropy, rank)
        for request, token, logprob, sampled_logprob, top, chance, entropy, rank in zip(
            requests, tokens, own.tolist(), drawn.tolist(), tops, chances, entropies, ranks, strict=True
        )
    ]


def _masked(logits: Tensor, requests: Sequence[Request]) -> Tensor:
    """``logits`` with minus infinity for the tokens that a request's mask does not allow."""
    masks = [(place, request.mask) for place, request in enumerate(requests) if request.mask is not None]
    if not masks:
        return logits
    forbidden = torch.stack([~mask.allowed() for _, mask in masks]).to(logits.device)
    places = torch.tensor([place for place, _ in masks], device=logits.device)
    return logits.index_copy(0, places, logits[places].masked_fill(forbidden, -torch.inf))


def _surprise(
    scores: Scores, requests: Sequence[Request], picked: Tensor
) -> tuple[list[float | None], list[int | None]]:
    """Entropy in nats of each request's distribution, and the rank of the token picked, where anybody looks."""
    entropies: list[float | None] = [None] * len(requests)
    ranks: list[int | None] = [None] * len(requests)
    places = [place for place, request in enumerate(requests) if request.sampling.alternatives]
    if places:
        logits = scores.logits[places].float()
        log_probabilities = logits - scores.log_total[places][:, None]
        entropy = -(log_probabilities.exp() * log_probabilities).nan_to_num(0.0).sum(-1)  # 0 log 0 = 0
        rank = 1 + (logits > logits.gather(1, picked[places][:, None])).sum(-1)
        for place, nats, number in zip(places, entropy.tolist(), rank.tolist(), strict=True):
            entropies[place], ranks[place] = nats, number
    return entropies, ranks


def _alternatives(scores: Scores, requests: Sequence[Request]) -> list[list[tuple[int, float]]]:
    wanted = [min(request.sampling.alternatives, scores.logits.shape[1]) for request in requests]
    most = max(wanted)
    if not most:
        return [[] for _ in requests]
    best = scores.logits.topk(most, dim=-1)
    return [
        [(i, math.exp(v - total)) for i, v in zip(ids[:count], values[:count], strict=True)]
        for count, ids, values, total in zip(
            wanted, best.indices.tolist(), best.values.tolist(), scores.log_total.tolist(), strict=True
        )
    ]
