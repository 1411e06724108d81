"""Maximum likelihood of masked tokens: pretraining of bidirectional encoders."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.bidirectional import Encoder
from limpid.training.objectives.cross_entropy import summed_cross_entropy


class MaskedToken(NamedTuple):
    """Summed cross-entropy of the chosen tokens (weight above 0) of a batch, in nats. dtype: the compute dtype."""

    dtype: torch.dtype

    def __call__(self, model: Encoder, batch: Batch) -> Tensor:
        hidden = model(batch.inputs, dtype=self.dtype)
        chosen = batch.weights > 0
        hidden = model.transform(hidden[chosen])  # only there: (N, D)
        return summed_cross_entropy(
            hidden, model.head.weight, batch.targets[chosen], batch.weights[chosen], bias=model.head.bias
        )
