"""The net: layers of neurons, each joined to all of the layer before it, and back-propagation through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from limpid.lessons.playground.activations import ACTIVATIONS, Array
from limpid.lessons.playground.losses import Loss
from limpid.lessons.playground.seeded import SeededRandom

Floats = npt.NDArray[np.float64]
T = TypeVar("T", bound=np.generic)
BIAS = 0.1


class Net:
    """A multi-layer perceptron of float64.

    All parameters lie in one vector, ``parameters``: each layer's weights (n_out, n_in), row by row, then its biases
    (n_out). ``weights`` and ``biases`` are views of it, one a layer, the last the output's.

    sizes: of the inputs, each hidden layer, the output. activations: of each layer but the inputs.
    """

    def __init__(self, sizes: Sequence[int], activations: Sequence[str]) -> None:
        self.sizes, self.activations = tuple(sizes), tuple(activations)
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.parameters = np.zeros(sum(n * m + n for n, m in shapes))
        self.weights, self.biases = _views(self.parameters, shapes)
        self._gradient = np.zeros_like(self.parameters)
        self._weight_slopes, self._bias_slopes = _views(self._gradient, shapes)
        self.is_weight = np.ones(len(self.parameters), dtype=bool)
        for biases in _views(self.is_weight, shapes)[1]:
            biases[:] = False

    def draw(self, random: SeededRandom) -> None:
        """Weights U(-0.5, 0.5), neuron by neuron; biases 0.1."""
        for weights, biases in zip(self.weights, self.biases, strict=True):
            weights[:] = random.numbers(*weights.shape) - 0.5
            biases[:] = BIAS

    def forward(self, inputs: Array) -> list[Array]:
        """(N, n_in) -> the values of every layer but the inputs, each (N, n)."""
        return [value for _, value in self._sums_and_values(inputs, None)]

    def output(self, inputs: Array) -> tuple[Array, Array]:
        """(N, n_in) -> the output neuron's sums and values, each (N)."""
        sums, values = self._sums_and_values(inputs, None)[-1]
        return sums[:, 0], values[:, 0]

    def gradient(self, inputs: Floats, targets: Floats, loss: Loss, masks: Sequence[Floats] | None = None) -> Floats:
        """The mean loss's derivative by every parameter; the vector is the net's own, and the next call's.

        masks: what hidden layers' values are multiplied by, each (N, n): dropout.
        """
        layers = self._sums_and_values(inputs, masks)
        units = [ACTIVATIONS[name] for name in self.activations]
        sums, values = layers[-1]
        slope = loss.slope(sums[:, 0], values[:, 0], targets, units[-1])[:, None] / len(targets)  # (N, 1)
        for at in range(len(layers) - 1, -1, -1):
            below = inputs if not at else layers[at - 1][1] if masks is None else layers[at - 1][1] * masks[at - 1]
            self._weight_slopes[at][:] = slope.T @ below
            self._bias_slopes[at][:] = slope.sum(0)
            if at:
                slope = slope @ self.weights[at] if masks is None else slope @ self.weights[at] * masks[at - 1]
                slope = slope * units[at - 1].slope(*layers[at - 1])
        return self._gradient

    def _sums_and_values(self, inputs: Array, masks: Sequence[Floats] | None) -> list[tuple[Array, Array]]:
        found: list[tuple[Array, Array]] = []
        below = inputs
        for at, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = below @ weights.T.astype(inputs.dtype, copy=False) + biases.astype(inputs.dtype, copy=False)
            values = ACTIVATIONS[self.activations[at]].of(sums)
            found.append((sums, values))
            below = values if masks is None or at == len(masks) else values * masks[at]
        return found

    def take_over(self, other: Net, own_inputs: Sequence[str], its_inputs: Sequence[str]) -> None:
        """Have the weights of another net where both have the neuron; inputs are the same where their names are."""
        rows = {name: place for place, name in enumerate(its_inputs)}
        last = min(len(self.weights), len(other.weights)) - 1
        pairs = [(at, at) for at in range(last)] + [(len(self.weights) - 1, len(other.weights) - 1)]
        for own, its in pairs:
            mine, theirs = self.weights[own], other.weights[its]
            if own == 0 and its == 0:
                columns = [(a, rows[name]) for a, name in enumerate(own_inputs) if name in rows]
            elif own == 0 or its == 0:
                columns = []
            else:
                columns = [(n, n) for n in range(min(mine.shape[1], theirs.shape[1]))]
            count = min(len(mine), len(theirs))
            for a, b in columns:
                mine[:count, a] = theirs[:count, b]
            self.biases[own][:count] = other.biases[its][:count]


def _views(
    vector: npt.NDArray[T], shapes: Sequence[tuple[int, int]]
) -> tuple[list[npt.NDArray[T]], list[npt.NDArray[T]]]:
    """Matrices (n, m) and rows (n) that lie in a vector one after the other."""
    matrices, rows, at = [], [], 0
    for n, m in shapes:
        matrices.append(vector[at : at + n * m].reshape(n, m))
        rows.append(vector[at + n * m : at + n * m + n])
        at += n * m + n
    return matrices, rows
