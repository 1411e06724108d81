"""Where one line cannot separate: exclusive or, learned by one neuron, by layers that cannot bend, by ones that can."""

from __future__ import annotations

from typing import Any

from limpid.lessons.playground.training import Playground

NETS: dict[str, dict[str, Any]] = {
    "line": {"layers": (), "activation": "linear"},
    "linear": {"layers": (4, 2), "activation": "linear"},
    "bent": {"layers": (4, 2), "activation": "tanh"},
}
EPOCHS = 150
_SEED, _RATE = "0.5", 0.1


def nets() -> dict[str, Playground]:
    """A playground on exclusive or for each of `NETS`, before it has learned."""
    return {name: Playground(dataset="xor", seed=_SEED, learning_rate=_RATE, **net) for name, net in NETS.items()}
