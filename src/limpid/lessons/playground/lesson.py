"""The playground's lesson as numbers."""

from __future__ import annotations

from typing import Any

from limpid.lessons.playground.training import Playground

EPOCHS = 200
NETS: dict[str, dict[str, Any]] = {
    "one neuron on the circle": {"layers": ()},
    "one neuron that is told the squares": {"layers": (), "inputs": ("xSquared", "ySquared"), "loss": "crossEntropy"},
    "4 and 2 neurons, tanh": {},
    "4 and 2 neurons, linear": {"activation": "linear"},
    "noise learned by heart": {"dataset": "gauss", "noise": 50, "train_percent": 10, "layers": (8, 8),
                               "learning_rate": 0.1, "batch_size": 5},
    "the same, pulled by L2": {"dataset": "gauss", "noise": 50, "train_percent": 10, "layers": (8, 8),
                               "learning_rate": 0.1, "batch_size": 5, "regularization": "L2",
                               "regularization_rate": 0.03},
}  # fmt: skip


def lesson() -> dict[str, Any]:
    """Losses and right shares, training and test, of each of `NETS` after `EPOCHS`, with its address."""
    found = {}
    for name, settings in NETS.items():
        playground = Playground(**settings).run(EPOCHS)
        last, right = playground.history[-1], playground.accuracies()
        found[name] = {"address": playground.address, "training_loss": last.train, "test_loss": last.test,
                       "training_right": right[0], "test_right": right[1]}  # fmt: skip
    return {"epochs": EPOCHS, "nets": found}
