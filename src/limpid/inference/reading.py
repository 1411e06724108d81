"""What a model makes of a text that is there already: the probability of each of its tokens, and one vector for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder

_PLACES = 64  # scores over the vocabulary are made for so many places at once: they are large


class ReadToken(NamedTuple):
    """logprob: natural log of the token's probability after what stands before it; None for the first.

    alternatives: (id, probability) of the most probable tokens there, best first.
    """

    token_id: int
    logprob: float | None
    alternatives: list[tuple[int, float]]


@torch.inference_mode()
def read_tokens(model: Decoder, ids: Sequence[int], alternatives: int) -> list[ReadToken]:
    """How probable each token of a text was to the model; ``ids`` at most the context, at least one."""
    dtype, device = model.embedding.weight.dtype, model.embedding.weight.device
    hidden = model(torch.tensor([list(ids)], device=device), dtype=dtype)[0, :-1]  # (T - 1, D)
    targets = torch.tensor(list(ids[1:]), device=device)
    read = [ReadToken(ids[0], None, [])]
    for at in range(0, len(hidden), _PLACES):
        own = model.head(hidden[at : at + _PLACES]).float().log_softmax(-1)  # (P, V)
        chosen = targets[at : at + _PLACES]
        logprobs = own.gather(1, chosen[:, None]).squeeze(1).tolist()
        best = own.topk(min(alternatives, own.shape[1]), dim=-1)
        for token, logprob, tops, values in zip(
            chosen.tolist(), logprobs, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            candidates = [(i, math.exp(value)) for i, value in zip(tops, values, strict=True)]
            read.append(ReadToken(token, logprob, candidates))
    return read


@torch.inference_mode()
def embed(model: Decoder | EncoderDecoder, ids: Sequence[int]) -> list[float]:
    """One vector (D,) of length 1 for a text: the mean of its tokens' final hidden states.

    Of an encoder-decoder, those of the encoder.
    """
    dtype, device = model.embedding.weight.dtype, model.embedding.weight.device
    batch = torch.tensor([list(ids)], device=device)
    if isinstance(model, EncoderDecoder):
        states = model.encode(batch, torch.tensor([len(ids)], device=device), dtype=dtype).states
        assert isinstance(states, Tensor)
    else:
        states = model(batch, dtype=dtype)
    mean = states[0].float().mean(0)
    vector: list[float] = (mean / mean.norm().clamp(min=1e-12)).tolist()
    return vector
