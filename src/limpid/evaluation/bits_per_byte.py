"""How well a model predicts text, in a unit that does not depend on its tokenizer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from limpid.data.token_store import TokenStore
from limpid.evaluation.bootstrap import Interval, ratio_interval
from limpid.models.decoder import Decoder


class TextScore(NamedTuple):
    """bits_per_byte with its 95% interval; nats: mean over tokens; tokens: how many were predicted."""

    bits_per_byte: Interval
    nats: float
    tokens: int


@torch.no_grad()
def score_text(
    model: Decoder, store: TokenStore, *, dtype: torch.dtype, tokens: int = 0, overlap: float = 0.0, rows: int = 16
) -> TextScore:
    """Cross-entropy over a store, each token predicted once.

    Args:
        tokens: predict only the first so many (0: all).
        overlap: share of the context that each window repeats from the one before, so that no token but the first
            ones is predicted from less; 0 is cheapest, 0.5 costs twice as much and is what to publish.
        rows: windows computed together.

    Bits per byte is the sum of -log2 p over the tokens, the end-of-text marks included, divided by the UTF-8 bytes of
    the text, pro rata where only part of it is read. The interval is a bootstrap over windows.
    """
    device = model.embedding.weight.device
    context = model.config.context
    last = len(store.ids) - 1
    last = min(last, tokens) if tokens else last
    fresh = max(1, int(context * (1 - overlap)))
    starts = range(0, last, fresh)
    window_nats, window_tokens = [], []
    was_training = model.training
    model.eval()
    for at in range(0, len(starts), rows):
        chosen = list(starts[at : at + rows])
        inputs = torch.zeros(rows, context, dtype=torch.int64)  # always as many rows: one shape to compile
        targets = torch.zeros_like(inputs)
        counts = torch.zeros(rows, context)
        for row, begin in enumerate(chosen):
            end = min(begin + fresh, last)  # this window is responsible for targets begin+1 .. end
            first = max(0, end - context)
            ids = torch.from_numpy(np.asarray(store.ids[first : end + 1], dtype=np.int64))
            inputs[row, : end - first] = ids[:-1]
            targets[row, : end - first] = ids[1:]
            counts[row, begin - first : end - first] = 1
        inputs, targets, counts = inputs.to(device), targets.to(device), counts.to(device)
        logits = model.head(model(inputs, dtype=dtype))
        losses = torch.stack(
            [
                torch.nn.functional.cross_entropy(row.float(), t, reduction="none")
                for row, t in zip(logits, targets, strict=True)
            ]
        )
        window_nats += (losses * counts).sum(1).tolist()[: len(chosen)]
        window_tokens += counts.sum(1).tolist()[: len(chosen)]
    model.train(was_training)
    nats, count = np.array(window_nats), np.array(window_tokens)
    bytes_per_token = store.bytes / max(1, len(store.ids))
    bits = ratio_interval(nats / math.log(2), count * bytes_per_token)
    return TextScore(bits, float(nats.sum() / count.sum()), int(count.sum()))
