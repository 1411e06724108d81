"""A neural network by hand, to judge the playground: plain Python numbers, one example and one weight at a time, from
the textbook (Rumelhart, Hinton and Williams 1986) and TensorFlow Playground's description. The two share no code."""

from __future__ import annotations

import math
from collections.abc import Sequence

Layer = list[list[float]]  # a neuron's weights, then its bias


def activate(name: str, z: float) -> tuple[float, float]:
    """The value, and the slope by z."""
    if name == "relu":
        return (z, 1.0) if z > 0 else (0.0, 0.0)
    if name == "tanh":
        return math.tanh(z), 1 / math.cosh(z) ** 2 if abs(z) < 300 else 0.0
    if name == "sigmoid":
        a = 1 / (1 + math.exp(-z))
        return a, a * (1 - a)
    if name == "linear":
        return z, 1.0
    inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
    t = math.tanh(inner)
    slope = (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
    return z * (1 + t) / 2, (1 + t) / 2 + z * slope / 2


def train(
    layers: list[Layer],
    names: Sequence[str],
    examples: Sequence[tuple[Sequence[float], float]],
    *,
    epochs: int,
    batch: int,
    rate: float,
    penalty: str = "none",
    strength: float = 0.0,
    entropy: bool = False,
) -> tuple[list[Layer], float]:
    """The layers after so many epochs, and the mean loss over the examples."""
    layers = [[list(neuron) for neuron in layer] for layer in layers]
    dead: set[tuple[int, int, int]] = set()
    for _ in range(epochs):
        for start in range(0, len(examples), batch):
            part = examples[start : start + batch]
            total = [[[0.0] * len(neuron) for neuron in layer] for layer in layers]
            for inputs, target in part:
                _add_slopes(total, layers, names, inputs, target, entropy)
            for at, layer in enumerate(layers):
                for n, neuron in enumerate(layer):
                    for s in range(len(neuron)):
                        if (at, n, s) in dead:
                            continue
                        old = neuron[s]
                        new = old - rate * total[at][n][s] / len(part)
                        if s < len(neuron) - 1 and penalty == "L2":
                            new -= rate * strength * old
                        if s < len(neuron) - 1 and penalty == "L1":
                            moved = new - rate * strength * ((old > 0) - (old < 0))
                            if new * moved < 0:
                                moved = 0.0
                                dead.add((at, n, s))
                            new = moved
                        neuron[s] = new
    losses = []
    for inputs, target in examples:
        z, a = _forward(layers, names, inputs)[-1]
        right = 1 / (1 + math.exp(-2 * target * z[0])) if entropy else 0.0
        losses.append(-math.log(right) if entropy else (a[0] - target) ** 2 / 2)
    return layers, sum(losses) / len(losses)


def _forward(
    layers: list[Layer], names: Sequence[str], inputs: Sequence[float]
) -> list[tuple[list[float], list[float]]]:
    found, below = [], list(inputs)
    for layer, name in zip(layers, names, strict=True):
        sums = []
        for neuron in layer:
            z = neuron[-1]
            for weight, value in zip(neuron, below):  # noqa: B905 - the bias has no value
                z += weight * value
            sums.append(z)
        below = [activate(name, z)[0] for z in sums]
        found.append((sums, below))
    return found


def _add_slopes(
    total: list[Layer], layers: list[Layer], names: Sequence[str], inputs: Sequence[float], target: float, entropy: bool
) -> None:
    found = _forward(layers, names, inputs)
    output = found[-1][1][0]
    slope_of_output = activate(names[-1], found[-1][0][0])[1]
    deltas = [output - target if entropy else (output - target) * slope_of_output]
    for at in range(len(layers) - 1, -1, -1):
        below = found[at - 1][1] if at else list(inputs)
        for n, delta in enumerate(deltas):
            for s, value in enumerate(below):
                total[at][n][s] += delta * value
            total[at][n][-1] += delta
        if at:
            deltas = [
                sum(delta * layers[at][n][s] for n, delta in enumerate(deltas))
                * activate(names[at - 1], found[at - 1][0][s])[1]
                for s in range(len(below))
            ]
