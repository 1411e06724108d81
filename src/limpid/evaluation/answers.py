"""How well a model foretells the answers of conversations it has not seen."""

from __future__ import annotations

import math

import numpy as np
import torch

from limpid.data.batches import Batch
from limpid.evaluation.bootstrap import Interval, ratio_interval
from limpid.models.decoder import Decoder
from limpid.text.tokenizer import Tokenizer


@torch.no_grad()
def score_answers(
    model: Decoder, tokenizer: Tokenizer, packed: Batch, *, dtype: torch.dtype, tokens: int = 0, micro_rows: int = 16
) -> Interval:
    """Bits per byte of the answers in packed rows (`packing.pack`), ends of turns included, with a 95% interval.

    The sum of -log2 p over the tokens of weight 1, divided by the UTF-8 bytes they stand for (control tokens: none).
    The interval is a bootstrap over conversations. tokens: only the first rows, of so many places (0: all).
    """
    device = model.embedding.weight.device
    count = len(packed.inputs) if not tokens else max(1, tokens // packed.inputs.shape[1])
    assert packed.segments is not None
    lengths = torch.tensor([0 if i in tokenizer.special_ids else len(raw) for i, raw in _bytes(tokenizer)])
    nats, size = [], []
    was_training = model.training
    model.eval()
    for at in range(0, min(count, len(packed.inputs)), micro_rows):
        batch = packed.rows(at, min(at + micro_rows, count)).to(device)
        assert batch.segments is not None
        logits = model.head(model(batch.inputs, dtype=dtype, segments=batch.segments))
        for row, targets, weights, segments in zip(logits, batch.targets, batch.weights, batch.segments, strict=True):
            losses = torch.nn.functional.cross_entropy(row.float(), targets, reduction="none") * weights
            places = int(segments.max()) + 1
            zeros = torch.zeros(places, device=device)
            nats += zeros.index_add(0, segments, losses).tolist()[1:]  # segment 0 is padding
            size += zeros.index_add(0, segments, lengths.to(device)[targets] * weights).tolist()[1:]
    model.train(was_training)
    return ratio_interval(np.array(nats) / math.log(2), np.array(size))


def _bytes(tokenizer: Tokenizer) -> list[tuple[int, bytes]]:
    return [(i, tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)]
