"""Maximum likelihood of a target given its source, with smoothed labels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from limpid.data.batches import Batch
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.training.objectives.cross_entropy import summed_cross_entropy


class Translation(NamedTuple):
    """Summed weighted cross-entropy of the target's tokens, in nats (Vaswani et al. 2017, section 5.4 for smoothing).

    dtype: the compute dtype. Without gradients the labels are not smoothed, so that what is measured is the likelihood.
    """

    dtype: torch.dtype
    label_smoothing: float = 0.1

    def __call__(self, model: EncoderDecoder, batch: Batch) -> Tensor:
        assert batch.source is not None
        assert batch.source_lengths is not None
        hidden = model(batch.source, batch.source_lengths, batch.inputs, dtype=self.dtype)
        return summed_cross_entropy(
            hidden, model.head.weight, batch.targets, batch.weights,
            bias=model.head.bias, label_smoothing=self.label_smoothing,
        )  # fmt: skip
