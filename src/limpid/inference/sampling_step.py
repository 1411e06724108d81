"""One token for each of several requests, every one by its own settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from limpid.inference.forward import Scores
from limpid.inference.request import Request, TokenEvent
from limpid.inference.sampler import adjust, choose, choose_from, shape_distribution


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
    best = _most_probable(scores, requests)
    chances: dict[int, list[float]] = {}  # of alternatives, in the distribution the token is drawn from
    for places in groups.values():
        sampling = requests[places[0]].sampling
        if allowed is scores.logits and sampling.greedy and not sampling.adjusts:
            continue  # the best ones, with certainty
        whole = len(places) == len(requests)
        logits = allowed if whole else allowed[places]
        if sampling.adjusts:
            counts = torch.stack([requests[place].counts(logits.shape[1]) for place in places]).to(logits.device)
            logits = adjust(logits, counts, sampling)
        noise = [0.0 if sampling.greedy else requests[place].noise() for place in places]
        uniform = torch.tensor(noise, dtype=torch.float64).to(logits.device)
        if not sampling.greedy and any(requests[place].sampling.alternatives for place in places):
            distribution = shape_distribution(logits, sampling)
            shown = distribution.gather(1, best if whole else best[places])
            chances |= zip(places, shown.tolist(), strict=True)
            chosen, log_chances = choose_from(distribution, uniform)
        else:
            chosen, log_chances = choose(logits, sampling, uniform)
        if whole:
            picked, drawn = chosen, log_chances
        else:
            picked[places], drawn[places] = chosen, log_chances
    own = scores.logits.gather(1, picked[:, None])
    tokens, logprobs = picked.tolist(), (own.squeeze(1) - scores.log_total).tolist()
    tops = _alternatives(scores, requests, best)
    entropies, ranks = _surprise(scores, requests, own)
    shares = [
        chances[place][: len(top)] if place in chances else [float(i == token) for i, _ in top]
        for place, (token, top) in enumerate(zip(tokens, tops, strict=True))
    ]
    return [
        TokenEvent(request, token, logprob, sampled_logprob, top, share, request.take(token), entropy, rank)
        for request, token, logprob, sampled_logprob, top, share, entropy, rank in zip(
            requests, tokens, logprobs, drawn.tolist(), tops, shares, entropies, ranks, strict=True
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


def _surprise(scores: Scores, requests: Sequence[Request], own: Tensor) -> tuple[list[float | None], list[int | None]]:
    """Entropy in nats of each request's distribution, and the rank of the token picked, where anybody looks.

    own: (R, 1) the logits of the tokens picked.
    """
    entropies: list[float | None] = [None] * len(requests)
    ranks: list[int | None] = [None] * len(requests)
    places = [place for place, request in enumerate(requests) if request.sampling.alternatives]
    if places:
        whole = len(places) == len(requests)
        logits, log_total, own = (x if whole else x[places] for x in (scores.logits, scores.log_total, own))
        entropy = log_total - torch.linalg.vecdot(logits.softmax(-1), logits)
        rank = 1 + (logits > own).sum(-1)
        for place, nats, number in zip(places, entropy.tolist(), rank.tolist(), strict=True):
            entropies[place], ranks[place] = nats, number
    return entropies, ranks


def _most_probable(scores: Scores, requests: Sequence[Request]) -> Tensor:
    """(R, most) the ids that any request asks to see at most, the best first."""
    most = min(max(request.sampling.alternatives for request in requests), scores.logits.shape[1])
    return scores.logits.topk(most, dim=-1).indices if most else scores.best[:, None][:, :0]


def _alternatives(scores: Scores, requests: Sequence[Request], best: Tensor) -> list[list[tuple[int, float]]]:
    """Of each request, as many ids of ``best`` as it asks for, with the model's own probabilities."""
    if not best.shape[1]:
        return [[] for _ in requests]
    probabilities = (scores.logits.gather(1, best).double() - scores.log_total.double()[:, None]).exp()
    return [
        list(zip(ids, values, strict=True))[: request.sampling.alternatives]
        for request, ids, values in zip(requests, best.tolist(), probabilities.tolist(), strict=True)
    ]
