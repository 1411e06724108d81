"""How wrong an output is. Both losses are means over examples; targets are +1 and -1, or any number in regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from limpid.lessons.playground.activations import Activation, Array


class Loss(NamedTuple):
    """of: each example's loss, of the output's sum z, its value a and the target t. slope: its derivative by z."""

    of: Callable[[Array, Array, Array], Array]
    slope: Callable[[Array, Array, Array, Activation], Array]


def _cross_entropy(z: Array, a: Array, t: Array) -> Array:
    return np.logaddexp(0, -2 * t * z)


LOSSES = {
    "square": Loss(lambda z, a, t: 0.5 * (a - t) ** 2, lambda z, a, t, unit: (a - t) * unit.slope(z, a)),
    "crossEntropy": Loss(_cross_entropy, lambda z, a, t, unit: a - t),
}
"""square: 1/2 (a - t)^2. crossEntropy: -ln of the probability of the right class, in nats; an output a = tanh z says
that the class +1 has the probability (1 + a) / 2 = sigmoid(2 z), so the loss is ln(1 + exp(-2 t z)), and its slope is
a - t: the slope of the square without the factor that vanishes where the tanh is saturated."""
