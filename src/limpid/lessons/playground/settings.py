"""What can be dialled, and what each dial allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from limpid.core.errors import LimpidError, did_you_mean
from limpid.lessons.playground.activations import ACTIVATIONS
from limpid.lessons.playground.datasets import CLASSIFICATION, REGRESSION
from limpid.lessons.playground.features import FEATURES
from limpid.lessons.playground.losses import LOSSES
from limpid.lessons.playground.optimizers import OPTIMIZERS
from limpid.lessons.playground.regularizers import REGULARIZERS

OWN = "own"
PROBLEMS = ("classification", "regression")
MAX_LAYERS, MAX_NEURONS = 8, 16
MAX_SEED = 64
LEARNING_RATES = (1e-5, 1e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
RATES = (0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
"""What the page offers; the engine takes any number within `_BOUNDS`."""
_CHOICES: dict[str, Sequence[str]] = {
    "problem": PROBLEMS, "dataset": (*CLASSIFICATION, OWN), "reg_dataset": (*REGRESSION, OWN),
    "activation": tuple(ACTIVATIONS), "regularization": tuple(REGULARIZERS), "loss": tuple(LOSSES),
    "optimizer": tuple(OPTIMIZERS),
}  # fmt: skip
_BOUNDS: dict[str, tuple[float, float]] = {
    "noise": (0, 80), "train_percent": (1, 99), "batch_size": (1, 1000), "learning_rate": (0, 1000),
    "regularization_rate": (0, 1000), "dropout": (0, 0.9), "epochs_per_second": (0, 10_000),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """A playground's whole state but its own data and what it has learned.

    noise, train_percent: per cent. layers: neurons of each hidden layer. activations: of each hidden layer, where they
    differ; empty: ``activation`` for all. seed: of the data, and of the first weights where ``weight_seed`` is empty.
    dropout: the share of hidden values that a training step leaves out. epochs_per_second: what the page aims at; 0:
    as many as there can be. show_test, discretize, hidden: what the page shows (hidden: controls that it leaves out).

    Raises:
        LimpidError: a value that its dial does not allow.
    """

    problem: str = "classification"
    dataset: str = "circle"
    reg_dataset: str = "reg-plane"
    noise: float = 0
    train_percent: int = 50
    seed: str = "0.5"
    inputs: tuple[str, ...] = ("x", "y")
    layers: tuple[int, ...] = (4, 2)
    activation: str = "tanh"
    activations: tuple[str, ...] = ()
    weight_seed: str = ""
    init_zero: bool = False
    learning_rate: float = 0.03
    batch_size: int = 10
    optimizer: str = "sgd"
    loss: str = "square"
    regularization: str = "none"
    regularization_rate: float = 0
    dropout: float = 0
    epochs_per_second: float = 100
    show_test: bool = False
    discretize: bool = False
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, getattr(self, name), did_you_mean(str(getattr(self, name)), choices))
        for name, (low, high) in _BOUNDS.items():
            _check_number(name, getattr(self, name), low, high)
        for name in ("train_percent", "batch_size"):
            if getattr(self, name) != int(getattr(self, name)):
                raise _wrong(name, getattr(self, name), " It is a whole number.")
        if self.learning_rate == 0:
            raise _wrong("learning_rate", 0, " It is more than 0.")
        for name in ("init_zero", "show_test", "discretize"):
            if not isinstance(getattr(self, name), bool):
                raise _wrong(name, getattr(self, name), " It is true or false.")
        for name in ("seed", "weight_seed"):
            if not isinstance(getattr(self, name), str) or len(getattr(self, name)) > MAX_SEED:
                raise _wrong(name, getattr(self, name), f" A seed is a text of at most {MAX_SEED} characters.")
        self._check_net()
        if self.loss == "crossEntropy" and self.problem == "regression":
            raise LimpidError("loss crossEntropy is of classes, and this problem is regression: use square.")

    def _check_net(self) -> None:
        for name, kind, what in (("inputs", str, "names"), ("activations", str, "names"), ("hidden", str, "names"),
                                 ("layers", int, "whole numbers")):  # fmt: skip
            if not _all(getattr(self, name), kind):
                raise _wrong(name, getattr(self, name), f" They are {what}.")
        unknown = [name for name in self.inputs if name not in FEATURES]
        if unknown:
            raise _wrong("inputs", unknown[0], did_you_mean(str(unknown[0]), FEATURES))
        if not self.inputs:
            raise LimpidError("the net needs at least one input.")
        if self.inputs != tuple(name for name in FEATURES if name in self.inputs):
            object.__setattr__(self, "inputs", tuple(name for name in FEATURES if name in self.inputs))
        if len(self.layers) > MAX_LAYERS:
            raise LimpidError(f"{len(self.layers)} hidden layers are too many: there may be {MAX_LAYERS}.")
        for count in self.layers:
            if not 1 <= count <= MAX_NEURONS:
                raise _wrong("layers", count, f" A hidden layer has 1 to {MAX_NEURONS} neurons.")
        unknown = [name for name in self.activations if name not in ACTIVATIONS]
        if unknown:
            raise _wrong("activations", unknown[0], did_you_mean(str(unknown[0]), ACTIVATIONS))
        if self.activations and len(self.activations) != len(self.layers):
            raise LimpidError(
                f"activations names {len(self.activations)} layers, and there are {len(self.layers)} hidden ones."
            )

    @property
    def all_activations(self) -> tuple[str, ...]:
        """Of every layer but the inputs; the output's is tanh, or linear in regression."""
        hidden = self.activations or (self.activation,) * len(self.layers)
        return (*hidden, "linear" if self.problem == "regression" else "tanh")

    @property
    def data_name(self) -> str:
        """The data set that the problem uses."""
        return self.reg_dataset if self.problem == "regression" else self.dataset

    def changed(self, **changes: Any) -> Settings:
        """The same but for these. Raises LimpidError, for unknown names as well."""
        known = {field.name for field in fields(self)}
        for name in changes:
            if name not in known:
                raise LimpidError(f"'{name}' is no setting of the playground.{did_you_mean(name, known)}")
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()
        }
        return replace(self, **made)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _wrong(name, value, f" It is a number from {low:g} to {high:g}.")


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, tuple) and all(type(value) is kind for value in values)


def _wrong(name: str, value: Any, hint: str) -> LimpidError:
    return LimpidError(f"{name} cannot be {str(value)[:60]!r}.{hint}")
