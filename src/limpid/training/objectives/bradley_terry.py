"""The reward model's loss: the better answer's number above the worse one's (Bradley & Terry 1952)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.data.task_batches import TaskBatch
from limpid.models.task import TaskModel


class BradleyTerry(NamedTuple):
    """Summed over pairs: ``-log sigmoid(r_chosen - r_rejected) + centring * (r_chosen + r_rejected)^2``.

    The first term is InstructGPT's loss (Ouyang et al. 2022, equation 1) for pairs; it leaves the sum of two rewards
    free, and the second holds it near 0 (Eisenstein et al. 2023, section 3.1), so that rewards of different prompts
    can be added up. What the backbone's layers add to the loss counts once for each pair. dtype: the compute dtype.
    """

    dtype: torch.dtype
    centring: float = 0.01

    def __call__(self, model: TaskModel, batch: TaskBatch) -> Tensor:
        penalties: list[Tensor] = []
        rewards = model(batch.inputs, batch.lengths, starts=batch.starts, dtype=self.dtype, penalties=penalties).answers
        loss = summed_bradley_terry(rewards, self.centring)
        return loss + batch.total_weight * sum(penalties) if penalties else loss


def summed_bradley_terry(rewards: Tensor, centring: float) -> Tensor:
    """(B, 2) rewards of the better and the worse answers -> a float32 scalar."""
    better, worse = rewards.float().unbind(1)
    return (centring * (better + worse).square() - F.logsigmoid(better - worse)).sum()
