"""What the net may be told of a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from limpid.lessons.playground.activations import Array

FEATURES: dict[str, Callable[[Array, Array], Array]] = {
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "xSquared": lambda x, y: x * x,
    "ySquared": lambda x, y: y * y,
    "xTimesY": lambda x, y: x * y,
    "sinX": lambda x, y: np.sin(x),
    "sinY": lambda x, y: np.sin(y),
    "cosX": lambda x, y: np.cos(x),
    "cosY": lambda x, y: np.cos(y),
}
"""In the order in which the net has them. TensorFlow Playground names cosX and cosY in its addresses but does not
offer them; here they are inputs like the others."""
LABELS = {
    "x": "x₁", "y": "x₂", "xSquared": "x₁²", "ySquared": "x₂²", "xTimesY": "x₁x₂", "sinX": "sin x₁", "sinY": "sin x₂",
    "cosX": "cos x₁", "cosY": "cos x₂",
}  # fmt: skip


def inputs_of(points: Array, names: Sequence[str]) -> Array:
    """(N, 2) points -> (N, len(names))."""
    return np.stack([FEATURES[name](points[:, 0], points[:, 1]) for name in names], axis=1)
