"""Maximum likelihood of the next token: pretraining, and supervised fine-tuning when the weights say so."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.decoder import Decoder
from limpid.training.objectives.cross_entropy import summed_cross_entropy


class Objective(Protocol):
    """A batch's summed loss. The loop divides it once, by the weight of the global batch."""

    def __call__(self, model: Any, batch: Any) -> Tensor: ...


class NextToken(NamedTuple):
    """Summed weighted cross-entropy of a batch, in nats. dtype: the compute dtype."""

    dtype: torch.dtype
    z_loss: float = 0.0

    def __call__(self, model: Decoder, batch: Batch) -> Tensor:
        hidden = model(batch.inputs, dtype=self.dtype, segments=batch.segments)
        return summed_cross_entropy(hidden, model.head.weight, batch.targets, batch.weights, z_loss=self.z_loss)
