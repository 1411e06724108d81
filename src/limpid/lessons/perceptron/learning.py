"""Two ways of finding weights and a threshold from examples."""

from __future__ import annotations

import numpy as np

from limpid.lessons.perceptron.decision import REASONS, THRESHOLD, Decision
from limpid.lessons.perceptron.habits import People


class PerceptronRule:
    """Rosenblatt's rule (1958): where a decision is wrong, each weight moves by its reason, and the threshold by one,
    towards the right one. It stops by itself only where a line separates all; else it keeps being pushed about.

    weights, threshold: as they are learned; a decision is the same whatever all of them are multiplied by.
    """

    def __init__(self, rate: float = 0.1) -> None:
        self.rate, self.seen = rate, 0
        self.weights, self.threshold = [0.0] * len(REASONS), 0.0

    def learn(self, people: People) -> None:
        """Look at each of them once, in their order."""
        weights, threshold, rate = self.weights, self.threshold, self.rate
        for reasons, went in zip(people.reasons.tolist(), people.went.tolist(), strict=True):
            total = sum(w * r for w, r in zip(weights, reasons, strict=True))
            if (total > threshold) != (went > 0):
                weights = [w + rate * went * r for w, r in zip(weights, reasons, strict=True)]
                threshold -= rate * went
        self.weights, self.threshold = weights, threshold
        self.seen += len(people.went)

    def decision(self) -> Decision:
        return Decision(tuple(self.weights), self.threshold)


class GradientDescent:
    """Logistic regression: the probability of going is sigmoid(sum - threshold), and weights and threshold go down the
    slope of -ln of the probability of what people did, a batch at a time.

    batch: people a step.
    """

    def __init__(self, rate: float = 1.0, batch: int = 25) -> None:
        self.rate, self.batch, self.seen = rate, batch, 0
        self._vector = np.zeros(len(REASONS) + 1)  # the weights, and the threshold with its sign turned

    def learn(self, people: People) -> None:
        """Look at each of them once, in their order."""
        inputs = np.column_stack((people.reasons, np.ones(len(people.went))))
        for start in range(0, len(inputs), self.batch):
            x, t = inputs[start : start + self.batch], people.went[start : start + self.batch]
            sure = 1 / (1 + np.exp(-(x @ self._vector)))
            self._vector -= self.rate * x.T @ (sure - (t > 0)) / len(t)
        self.seen += len(inputs)

    def decision(self) -> Decision:
        return Decision(tuple(self._vector[:-1].tolist()), -float(self._vector[-1]))


def scaled(decision: Decision) -> Decision | None:
    """The same decision with its threshold called 8; None where the threshold is not above 0."""
    if decision.threshold <= 1e-9:
        return None
    times = THRESHOLD / decision.threshold
    return Decision(tuple(weight * times for weight in decision.weights), THRESHOLD)
