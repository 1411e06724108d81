"""Maximum likelihood of the next token: pretraining, and supervised fine-tuning when the weights say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.decoder import Decoder
from limpid.parallel.environment import World
from limpid.training.objectives.cross_entropy import summed_cross_entropy


class Objective(Protocol):
    """A batch's summed loss. The loop divides it once, by the weight of the global batch."""

    def __call__(self, model: Any, batch: Any) -> Tensor: ...


@runtime_checkable
class LooksFirst(Protocol):
    """An objective whose loss of some rows depends on all of the step."""

    def look(self, model: Any, parts: Sequence[Any], world: World) -> None:
        """Told of each step before its loss is asked for: the parts of the batch that this process will compute."""


class NextToken(NamedTuple):
    """Summed weighted cross-entropy of a batch, in nats. dtype: the compute dtype.

    What the model's layers add to the loss (the balance of experts) counts once for each weighted token. It is a mean
    over the tokens computed together, so micro-batches, unlike the cross-entropy, are not quite one large batch.
    """

    dtype: torch.dtype
    z_loss: float = 0.0

    def __call__(self, model: Decoder, batch: Batch) -> Tensor:
        penalties: list[Tensor] = []
        hidden = model(batch.inputs, dtype=self.dtype, segments=batch.segments, penalties=penalties)
        loss = summed_cross_entropy(
            hidden, model.head.weight, batch.targets, batch.weights, z_loss=self.z_loss, cap=model.head.cap
        )
        return loss + batch.weights.sum() * sum(penalties) if penalties else loss
