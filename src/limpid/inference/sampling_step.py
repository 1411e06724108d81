"""One token for each of several requests, every one by its own settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from limpid.inference.request import Request, TokenEvent
from limpid.inference.sampler import adjust, choose


def choose_tokens(logits: Tensor, requests: Sequence[Request]) -> list[TokenEvent]:
    """Draw the next token of each request from its row of ``logits`` (R, V) float32, and note it there.

    Requests of equal settings are drawn together; a row's token never depends on the others.
    """
    own = logits.log_softmax(-1)
    logits = _masked(logits, requests)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, request in enumerate(requests):
        groups[request.manner].append(place)
    picked = torch.empty(len(requests), dtype=torch.int64, device=logits.device)
    drawn = torch.empty(len(requests), device=logits.device)
    for places in groups.values():
        sampling = requests[places[0]].sampling
        whole = len(places) == len(requests)
        scores = logits if whole else logits[places]
        if sampling.adjusts:
            counts = torch.stack([requests[place].counts(logits.shape[1]) for place in places]).to(logits.device)
            scores = adjust(scores, counts, sampling)
        noise = [requests[place].noise() for place in places] if sampling.temperature else [0.0] * len(places)
        uniform = torch.tensor(noise, dtype=torch.float64).to(logits.device)
        if whole:
            picked, drawn = choose(scores, sampling, uniform)
        else:
            picked[places], drawn[places] = choose(scores, sampling, uniform)
    tokens, sampled = picked.tolist(), drawn.tolist()
    logprobs = own.gather(1, picked[:, None]).squeeze(1).tolist()
    tops = _alternatives(own, requests)
    return [
        TokenEvent(request, token, logprob, sampled_logprob, top, request.take(token))
        for request, token, logprob, sampled_logprob, top in zip(requests, tokens, logprobs, sampled, tops, strict=True)
    ]


def _masked(logits: Tensor, requests: Sequence[Request]) -> Tensor:
    """``logits`` with minus infinity for the tokens that a request's mask does not allow."""
    masks = [(place, request.mask) for place, request in enumerate(requests) if request.mask is not None]
    if not masks:
        return logits
    forbidden = torch.stack([~mask.allowed() for _, mask in masks]).to(logits.device)
    places = torch.tensor([place for place, _ in masks], device=logits.device)
    return logits.index_copy(0, places, logits[places].masked_fill(forbidden, -torch.inf))


def _alternatives(own: Tensor, requests: Sequence[Request]) -> list[list[tuple[int, float]]]:
    wanted = [min(request.sampling.alternatives, own.shape[-1]) for request in requests]
    most = max(wanted)
    if not most:
        return [[] for _ in requests]
    best = own.topk(most, dim=-1)
    return [
        [(i, math.exp(v)) for i, v in zip(ids[:count], values[:count], strict=True)]
        for count, ids, values in zip(wanted, best.indices.tolist(), best.values.tolist(), strict=True)
    ]
