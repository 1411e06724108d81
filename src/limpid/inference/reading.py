"""What a model makes of a text that is there already: the probability of each of its tokens, and one vector for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from limpid.inference.engine import Engine
from limpid.models.bidirectional import Encoder
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder


class ReadToken(NamedTuple):
    """logprob: natural log of the token's probability after what stands before it; None for the first.

    alternatives: (id, probability) of the most probable tokens there, best first.
    """

    token_id: int
    logprob: float | None
    alternatives: list[tuple[int, float]]


@torch.inference_mode()
def read_tokens(engine: Engine, ids: Sequence[int], alternatives: int) -> list[ReadToken]:
    """How probable each token of a text was to the model; ``ids`` at most the context, at least one."""
    read = [ReadToken(ids[0], None, [])]
    for scores in engine.read(ids[:-1]):
        targets = torch.tensor(ids[len(read) : len(read) + len(scores.best)], device=engine.device)
        own = scores.logits - scores.log_total[:, None]  # (P, V)
        chosen = own.gather(1, targets[:, None]).squeeze(1).tolist()
        best = own.topk(min(alternatives, own.shape[1]), dim=-1)
        for token, logprob, tops, values in zip(
            targets.tolist(), chosen, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            candidates = [(i, math.exp(value)) for i, value in zip(tops, values, strict=True)]
            read.append(ReadToken(token, logprob, candidates))
    return read


@torch.inference_mode()
def embed(reader: Engine | EncoderDecoder | Decoder | Encoder, ids: Sequence[int]) -> list[float]:
    """One vector (D,) of length 1 for a text: the mean of its tokens' final hidden states.

    reader: of an encoder-decoder, those of the encoder; of a classifier, those of its backbone.
    """
    if isinstance(reader, EncoderDecoder):
        weight = reader.embedding.weight
        batch = torch.tensor([list(ids)], device=weight.device)
        states = reader.encode(batch, torch.tensor([len(ids)], device=weight.device), dtype=weight.dtype).states
        assert isinstance(states, Tensor)
        total = states[0].float().sum(0)
    elif isinstance(reader, Decoder | Encoder):
        weight = reader.embedding.weight
        total = reader(torch.tensor([list(ids)], device=weight.device), dtype=weight.dtype)[0].float().sum(0)
    else:
        total = torch.stack([scores.states.float().sum(0) for scores in reader.read(ids)]).sum(0)
    mean = total / len(ids)
    vector: list[float] = (mean / mean.norm().clamp(min=1e-12)).tolist()
    return vector
