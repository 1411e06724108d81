"""Heads of tasks: from a text's hidden state to classes, a choice, a number (Radford et al. 2018, 3.2 and 3.3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from limpid.nn.linear import Linear

Pooling = Literal["last", "first", "mean"]


def pool(hidden: Tensor, lengths: Tensor, pooling: Pooling) -> Tensor:
    """One state for each row: (N, T, D) -> (N, D). lengths: (N,) tokens of each row; what follows is padding.

    last: that of a row's last token, which alone has seen all of it in a causal model (GPT's extract token). first: of
    its first (BERT's [CLS]), for models in which every token sees all others. mean: over its tokens.
    """
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    kept = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]  # (N, T)
    return (hidden.float() * kept[:, :, None]).sum(1).div(lengths[:, None]).to(hidden.dtype)


class Likelihood(nn.Module):
    """How probable a language model finds an answer, weighed by one learnt number: (N,) nats -> (N,).

    A reward model that starts from a language model knows by its own likelihoods most of what is right, but only after
    its last layer; a head on hidden states would have to learn it all anew.
    """

    START = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1))

    def reset_parameters(self, generator: torch.Generator) -> None:
        nn.init.constant_(self.weight, self.START)

    def forward(self, hidden: Tensor, head: nn.Module, ids: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        """The summed log-probability of ``ids[n, starts[n] : lengths[n]]``, float32, times the weight.

        hidden: (N, T, D) of ids (N, T). head: hidden states -> logits. A start of 0 counts from the second token on.
        """
        places = torch.arange(1, ids.shape[1], device=ids.device)
        spoken = (places >= starts[:, None]) & (places < lengths[:, None])  # (N, T - 1)
        logs = head(hidden[:, :-1][spoken]).float().log_softmax(-1)
        chosen = logs.gather(1, ids[:, 1:][spoken][:, None]).squeeze(1)
        rows = spoken.nonzero()[:, 0]
        return self.weight * torch.zeros(len(ids), device=ids.device).index_add(0, rows, chosen)


class ClassificationHead(Linear):
    """A text's state -> a score for each class: single texts, and pairs read as one text (entailment).

    Shapes: (B, 1, D) -> (B, C).
    """

    def __init__(self, d_model: int, outputs: int) -> None:
        super().__init__(d_model, outputs, bias=True, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states.squeeze(1))


class SimilarityHead(Linear):
    """The states of both orders of a pair, added, then one linear layer: a pair has no order.

    Shapes: (B, 2, D) -> (B, C).
    """

    def __init__(self, d_model: int, outputs: int) -> None:
        super().__init__(d_model, outputs, bias=True, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states.sum(1))


class ScalarHead(Linear):
    """A state -> one number: the score of each choice, the value of each token, the reward of an answer.

    Shapes: (..., D) -> (...).
    """

    def __init__(self, d_model: int, outputs: int = 1) -> None:
        if outputs != 1:
            raise ValueError(f"a scalar head has one output, not {outputs}")
        super().__init__(d_model, 1, bias=True, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states).squeeze(-1)
