"""From a gradient to a step. Settings are those of torch.optim's classes of the same names."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8


class Optimizer(Protocol):
    def step(self, gradient: Floats, rate: float) -> Floats:
        """What is taken off the parameters."""


class Sgd:
    """rate * g."""

    def __init__(self, count: int) -> None:
        pass

    def step(self, gradient: Floats, rate: float) -> Floats:
        return rate * gradient


class Momentum:
    """v = 0.9 v + g; rate * v (Polyak 1964, as torch.optim.SGD has it)."""

    def __init__(self, count: int) -> None:
        self._velocity = np.zeros(count)

    def step(self, gradient: Floats, rate: float) -> Floats:
        self._velocity = MOMENTUM * self._velocity + gradient
        return rate * self._velocity


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, count: int) -> None:
        self._mean, self._square, self._steps = np.zeros(count), np.zeros(count), 0

    def step(self, gradient: Floats, rate: float) -> Floats:
        first, second = BETAS
        self._steps += 1
        self._mean = first * self._mean + (1 - first) * gradient
        self._square = second * self._square + (1 - second) * gradient * gradient
        mean = self._mean / (1 - first**self._steps)
        return rate * mean / (np.sqrt(self._square / (1 - second**self._steps)) + EPSILON)


OPTIMIZERS: dict[str, type[Sgd] | type[Momentum] | type[Adam]] = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
