"""A policy and the value model that is trained beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.models.decoder import Decoder
from limpid.models.task import TaskModel
from limpid.nn.shared_prefixes import SharedPrefixes
from limpid.nn.task_heads import ScalarHead


class ActorCritic(nn.Module):
    """policy: what is kept and answers. value: what an answer may still earn, read after each token.

    A `TaskModel` of task "value" reads with a backbone of its own; a `ScalarHead` reads the policy's final states, and
    then the value loss shapes the policy's backbone as well.
    """

    def __init__(self, policy: Decoder, value: TaskModel | ScalarHead) -> None:
        super().__init__()
        self.policy, self.value = policy, value

    def values(self, ids: Tensor, shared: SharedPrefixes, hidden: Tensor, dtype: torch.dtype) -> Tensor:
        """(N,) float32 values of a row of texts, ids (1, N), whose final states in the policy are ``hidden`` (1, N, D).

        shared: which texts those are, as `Decoder` takes it.
        """
        if isinstance(self.value, ScalarHead):
            values: Tensor = self.value(hidden[0]).float()
            return values
        lengths = torch.full((1, 1), ids.shape[1], device=ids.device)
        answered: Tensor = self.value(ids[None], lengths, dtype=dtype, shared=shared).answers[0, 0]
        return answered
