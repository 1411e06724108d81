"""How far a policy is from its reference: three estimates, and a coefficient that holds the distance near a target."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

KlEstimator = Literal["k1", "k3", "exact"]


def k1(policy: Tensor, reference: Tensor) -> Tensor:
    """``log p - log q`` of drawn tokens: unbiased for KL(p || q), of high variance, of either sign.

    Source: Schulman 2020, "Approximating KL divergence". Shapes: log-probabilities, any.
    """
    return policy - reference


def k3(policy: Tensor, reference: Tensor) -> Tensor:
    """``q/p - 1 - log(q/p)`` of drawn tokens: unbiased, never negative, of low variance where p and q are near.

    Source: Schulman 2020; Shao et al. 2024, equation 4.
    """
    log_ratio = reference - policy
    return torch.expm1(log_ratio) - log_ratio


def exact(policy: Tensor, reference: Tensor) -> Tensor:
    """``sum_v p(v) (log p(v) - log q(v))`` over the vocabulary: log-probabilities (..., V) -> (...)."""
    return (policy.exp() * (policy - reference)).sum(-1)


class AdaptiveKl:
    """The coefficient of the divergence: fixed, or steered so that the divergence stays near ``target``.

    From one rollout to the next ``coefficient *= 1 + gain * clip(kl / target - 1, -0.2, 0.2)`` (Ziegler et al. 2019,
    section 2.2, where gain is 0.1 and kl the mean over answers of the sum over tokens, in nats): what a rollout shows
    is observed, and changes the coefficient of the next.

    Args:
        coefficient: to begin with. target: nats an answer; None: the coefficient never changes.
    """

    def __init__(self, coefficient: float, target: float | None = None, gain: float = 0.1) -> None:
        self.coefficient, self.target, self.gain = coefficient, target, gain
        self.following = coefficient

    def observe(self, kl: float) -> None:
        """The mean divergence of an answer of this rollout, in nats."""
        if self.target is not None:
            self.following = self.coefficient * (1 + self.gain * min(0.2, max(-0.2, kl / self.target - 1)))

    def advance(self) -> None:
        """The next rollout begins."""
        self.coefficient = self.following
