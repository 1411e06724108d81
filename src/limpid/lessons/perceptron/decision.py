"""The perceptron (Rosenblatt 1958): reasons times their weights, summed up, against a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

REASONS = ("weather", "price", "companion")
WEIGHTS, THRESHOLD = (8.0, 4.0, 4.0), 8.0
"""The weather decides; a good price and a companion count half as much each."""


class Case(NamedTuple):
    """reasons: 1 where there is one, in the order of `REASONS`. total: their weights' sum. go: whether it is enough."""

    reasons: tuple[int, ...]
    total: float
    go: bool


class Decision(NamedTuple):
    """Go where the sum of the weights of the reasons there are is larger than the threshold (not where it is equal)."""

    weights: tuple[float, ...] = WEIGHTS
    threshold: float = THRESHOLD

    def total(self, reasons: Sequence[float]) -> float:
        """Each reason, from 0 to 1, times its weight, summed up."""
        return sum(weight * reason for weight, reason in zip(self.weights, reasons, strict=True))

    def go(self, reasons: Sequence[float]) -> bool:
        return self.total(reasons) > self.threshold

    def cases(self) -> list[Case]:
        """Every case there is, from all reasons to none."""
        return [
            Case(reasons, self.total(reasons), self.go(reasons))
            for reasons in product((1, 0), repeat=len(self.weights))
        ]
