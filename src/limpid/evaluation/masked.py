"""How well an encoder tells masked tokens of a held-out text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from limpid.data.batches import Batches
from limpid.evaluation.bootstrap import Interval, ratio_interval
from limpid.models.bidirectional import Encoder


class MaskedScore(NamedTuple):
    """nats: mean -log p of a masked token. accuracy: share of them for which it is the most probable. Each with 95%."""

    nats: Interval
    accuracy: Interval


@torch.no_grad()
def score_masked(model: Encoder, batches: Batches, count: int, dtype: torch.dtype) -> MaskedScore:
    """Over the first ``count`` batches; the intervals are bootstraps over rows."""
    device = model.embedding.weight.device
    sums: list[torch.Tensor] = []
    was_training = model.training
    model.eval()
    for step in range(count):
        batch = batches[step].to(device)
        chosen = batch.weights > 0
        logits = model.scores(model(batch.inputs, dtype=dtype)[chosen]).float()  # (N, V)
        targets = batch.targets[chosen]
        nats, right = torch.zeros_like(batch.weights), torch.zeros_like(batch.weights)
        nats[chosen] = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        right[chosen] = (logits.argmax(-1) == targets).float()
        sums.append(torch.stack([nats.sum(1), right.sum(1), batch.weights.sum(1)]).cpu())
    model.train(was_training)
    lost, correct, tokens = np.asarray(torch.cat(sums, dim=1), dtype=float)
    return MaskedScore(ratio_interval(lost, tokens), ratio_interval(correct, tokens))
