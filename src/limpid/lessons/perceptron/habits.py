"""What 10,000 people did: made up, by a rule that is known, so that one can see whether it is found again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.lessons.perceptron.decision import Decision

Floats = npt.NDArray[np.float64]
COUNT, NOISE = 10_000, 1.0
MAX_NOISE = 8.0


class People(NamedTuple):
    """reasons: (N, 3), weather and price from 0 (bad) to 1 (good), companion 0 or 1. went: (N), 1 or -1."""

    reasons: Floats
    went: Floats

    def right(self, decision: Decision) -> float:
        """The share of people of whom a decision says what they did."""
        says = self.reasons @ np.array(decision.weights) > decision.threshold
        return float((says == (self.went > 0)).mean())


def people(count: int = COUNT, *, seed: int = 0, noise: float = NOISE, rule: Decision | None = None) -> People:
    """Weather and price U(0, 1), a companion with one half; a person goes where the rule's sum and a mood, normal with
    the standard deviation ``noise``, exceed its threshold.

    Raises:
        LimpidError: a count below 1, or noise that is no number from 0 to `MAX_NOISE`.
    """
    if count < 1 or not 0 <= noise <= MAX_NOISE:
        raise LimpidError(f"people are 1 or more, and their noise is from 0 to {MAX_NOISE:g}.")
    rule = rule or Decision()
    random = np.random.default_rng(seed)
    reasons: Floats = np.column_stack((random.random((count, 2)), random.integers(0, 2, count).astype(np.float64)))
    sums = reasons @ np.array(rule.weights) + random.normal(0, 1, count) * noise
    return People(reasons, np.where(sums > rule.threshold, 1.0, -1.0))
