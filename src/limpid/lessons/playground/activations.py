"""What a neuron makes of the sum of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
_GELU = np.sqrt(2 / np.pi)


class Activation(NamedTuple):
    """of: a(z). slope: a'(z), of z and a(z)."""

    of: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _gelu(z: Array) -> Array:
    return 0.5 * z * (1 + np.tanh(_GELU * (z + 0.044715 * z**3)))


def _gelu_slope(z: Array, a: Array) -> Array:
    inner = np.tanh(_GELU * (z + 0.044715 * z**3))
    return 0.5 * (1 + inner) + 0.5 * z * (1 - inner**2) * _GELU * (1 + 3 * 0.044715 * z**2)


ACTIVATIONS = {
    "relu": Activation(lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype)),
    "tanh": Activation(np.tanh, lambda z, a: 1 - a * a),
    "sigmoid": Activation(_sigmoid, lambda z, a: a * (1 - a)),
    "linear": Activation(lambda z: z, lambda z, a: np.ones_like(z)),
    "gelu": Activation(_gelu, _gelu_slope),
}
"""gelu: Hendrycks and Gimpel 2016 in their approximation by tanh, which GPT-2 uses."""
