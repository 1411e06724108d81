"""A task's loss, with the language-model loss beside it (Radford et al. 2018, equations 4 and 5)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.task_batches import TaskBatch
from limpid.models.task import TaskConfig, TaskModel
from limpid.nn.heads import LanguageModelHead
from limpid.training.objectives.cross_entropy import summed_cross_entropy


class TaskLoss(NamedTuple):
    """Summed over examples: cross-entropy of the class or choice, or squared error of the standardised score, plus
    ``lm_weight`` times the mean cross-entropy of the next token in the example's own sequences.

    The paper's L3 = L2 + lambda L1: L1 is a mean over tokens here, as L2 is over examples, so that lambda does not
    depend on the length of texts; padding counts for nothing. What the backbone's layers add to the loss (the balance
    of experts, a mean over the tokens computed together) counts once for each example. dtype: the compute dtype.
    """

    dtype: torch.dtype
    lm_weight: float = 0.5

    def __call__(self, model: TaskModel, batch: TaskBatch) -> Tensor:
        penalties: list[Tensor] = []
        output = model(batch.inputs, batch.lengths, dtype=self.dtype, penalties=penalties)
        loss = summed_task_loss(model.config, output.answers, batch.labels)
        if penalties:
            loss = loss + batch.total_weight * sum(penalties)
        if not self.lm_weight:
            return loss
        predicted = (batch.lengths - 1).clamp(min=0)  # (B, S) tokens with one before them
        places = torch.arange(batch.inputs.shape[2] - 1, device=batch.inputs.device)
        share = self.lm_weight / predicted.sum(1).clamp(min=1)  # (B,)
        weights = (places < predicted[:, :, None]) * share[:, None, None]  # (B, S, T - 1)
        hidden = output.hidden[:, :, :-1]
        head: LanguageModelHead = model.backbone.head  # type: ignore[assignment]
        return loss + summed_cross_entropy(
            hidden.flatten(0, 1),
            head.weight,
            batch.inputs[:, :, 1:].flatten(0, 1),
            weights.flatten(0, 1),
            cap=head.cap,
        )


def summed_task_loss(config: TaskConfig, answers: Tensor, labels: Tensor) -> Tensor:
    """answers as in `TaskOutput`; labels (B,) -> a float32 scalar."""
    if config.task != "choice" and config.outputs == 1:
        return F.mse_loss(answers.squeeze(1), (labels - config.mean) / config.deviation, reduction="sum")
    return F.cross_entropy(answers, labels.long(), reduction="sum")
