"""A playground: data, a net, and what happens when it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.lessons.playground import address
from limpid.lessons.playground.activations import Array
from limpid.lessons.playground.datasets import (
    CLASSIFICATION,
    CLASSIFICATION_COUNT,
    REGRESSION,
    REGRESSION_COUNT,
    Data,
    split,
)
from limpid.lessons.playground.features import inputs_of
from limpid.lessons.playground.losses import LOSSES
from limpid.lessons.playground.net import Net
from limpid.lessons.playground.optimizers import OPTIMIZERS
from limpid.lessons.playground.own_data import REACH, OwnData, read_csv
from limpid.lessons.playground.regularizers import REGULARIZERS
from limpid.lessons.playground.seeded import SeededRandom
from limpid.lessons.playground.settings import OWN, Settings

Floats = npt.NDArray[np.float64]
MAX_WEIGHT = 1e6
"""The largest that can be written by hand."""
MAP = 100
"""The output map has so many cells a side, its first row at x2 = 6."""
_DATA = {"problem", "dataset", "reg_dataset", "noise", "train_percent", "seed"}
_SHAPE = {"problem", "layers", "inputs", "weight_seed", "init_zero"}


class Losses(NamedTuple):
    """Means over the examples, in the unit of the loss; NaN of no examples."""

    epoch: int
    train: float
    test: float


class Playground:
    """A net on points of the plane. What changes the data or the net's shape begins anew; all else acts at once.

    settings: or its fields by name, as in ``Playground(dataset="spiral", layers=(8, 8))``. own: one's own points.

    epoch: how many have been trained. history: the losses from epoch 0 on. exploded: the epoch after which numbers were
    no longer finite; None: they are. altered: whether a dial was turned, or a weight edited, after epoch 0.

    Raises:
        LimpidError: settings that are not allowed, or own data without points.
    """

    def __init__(self, settings: Settings | None = None, *, own: OwnData | None = None, **changes: Any) -> None:
        self.settings = (settings or Settings()).changed(**changes)
        self.own = own
        self.epoch, self.altered = 0, False
        self.exploded: int | None = None
        self.history: list[Losses] = []
        self.data: Data
        self.net: Net
        self.inputs: Floats  # of all examples, (N, n_in)
        self.dead: npt.NDArray[np.bool_]
        self._any_dead = False
        self._make_data()
        self._make_net(keep=None)
        self.restart()

    @classmethod
    def from_address(cls, text: str) -> Playground:
        """The playground of an address of limpid's page, or of TensorFlow Playground.

        Raises:
            LimpidError: some of it is not understood; all such parts are named.
        """
        found = address.read(text)
        if found.faults:
            raise LimpidError("address: " + " ".join(found.faults))
        return cls(found.settings, own=found.own)

    @classmethod
    def from_csv(cls, text: str, *, fit: bool = False, problem: str = "classification", **changes: Any) -> Playground:
        """A playground on one's own points; see `own_data.read_csv`."""
        name = "reg_dataset" if problem == "regression" else "dataset"
        return cls(own=read_csv(text, problem, fit=fit), **{"problem": problem, name: OWN, **changes})

    @property
    def address(self) -> str:
        """What follows the # of the page's address, ``/playground?``."""
        return address.write(self.settings, self.own)

    # -------------------------------------------------------------- learning

    def run(self, epochs: int = 1) -> Playground:
        """Train so many epochs: each all training examples once, in their order, an update after every batch (the last
        may be smaller).

        Raises:
            LimpidError: the numbers are no longer finite, since an earlier epoch or now.
        """
        for _ in range(epochs):
            self.step()
            if self.exploded is not None:
                raise self.explosion()
        return self

    def step(self) -> Losses:
        """Train one epoch; the losses after it. Numbers that are no longer finite are told by ``exploded``.

        Raises:
            LimpidError: they were not before.
        """
        if self.exploded is not None:
            raise self.explosion()
        size, count = self.settings.batch_size, self.data.train
        with np.errstate(all="ignore"):  # what overflows is told by `exploded`
            for start in range(0, count, size):
                self._update(slice(start, min(start + size, count)))
            self.epoch += 1
            return self._measure()

    def explosion(self) -> LimpidError:
        """What is to be said of an exploded net."""
        return LimpidError(
            f"the numbers of the net have exploded in epoch {self.exploded}: reset it, and learn with a lower rate."
        )

    def _update(self, batch: slice) -> None:
        settings, parameters = self.settings, self.net.parameters
        inputs, labels = self.inputs[batch], self.data.labels[batch]
        gradient = self.net.gradient(inputs, labels, LOSSES[settings.loss], self._masks(len(labels)))
        if self._any_dead:
            gradient[self.dead] = 0
        after = parameters - self._optimizer.step(gradient, settings.learning_rate)
        weights = self.net.is_weight
        if settings.regularization != "none":
            pull = settings.learning_rate * settings.regularization_rate
            kept, died = REGULARIZERS[settings.regularization](parameters[weights], after[weights], pull)
            after[weights] = kept
            if died is not None and died.any():
                self.dead[weights] |= died
                self._any_dead = True
        if self._any_dead:
            after[self.dead] = 0
        parameters[:] = after

    def _masks(self, count: int) -> list[Floats] | None:
        """Inverted dropout (Srivastava et al. 2014): a kept value is as much larger as others are left out."""
        share = self.settings.dropout
        if share == 0 or not self.settings.layers:
            return None
        return [(self._dropout.random((count, n)) >= share) / (1 - share) for n in self.settings.layers]

    def _measure(self) -> Losses:
        found = Losses(self.epoch, *self._both(self._loss))
        self.history.append(found)
        if not (math.isfinite(found.train) and np.isfinite(self.net.parameters).all()):
            self.exploded = self.epoch
        return found

    def _both(self, of: Callable[[Array, Array, Array], Array]) -> tuple[float, float]:
        """The mean of a figure over training and over test examples; NaN of none."""
        with np.errstate(all="ignore"):
            sums, values = self.net.output(self.inputs)
            each = of(sums, values, self.data.labels)
        at = self.data.train
        return _mean(each[:at]), _mean(each[at:])

    def _loss(self, sums: Array, values: Array, labels: Array) -> Array:
        return LOSSES[self.settings.loss].of(sums, values, labels)

    def accuracies(self) -> tuple[float, float]:
        """The shares of training and test examples on whose side of 0 the output is; of classifications."""
        return self._both(lambda sums, values, labels: (values >= 0) == (labels > 0))

    # -------------------------------------------------------------- changing

    def change(self, *, keep_weights: bool = False, own: OwnData | None = None, **changes: Any) -> None:
        """Turn dials. What changes the data or the net's shape begins anew, with new weights unless they are kept.

        own: new points. keep_weights: those of neurons and inputs that stay.

        Raises:
            LimpidError: and nothing has changed.
        """
        settings = self.settings.changed(**changes)
        if settings.data_name == OWN and (own or self.own) is None:
            raise LimpidError("there are no points of your own yet: give a CSV file, or draw some.")
        names = {name for name in changes if getattr(settings, name) != getattr(self.settings, name)}
        before = self.net, self.settings
        self.settings, self.own = settings, own if own is not None else self.own
        if names & _DATA or own is not None:
            self._make_data()
        if names & (_DATA | _SHAPE) or own is not None:
            self._make_net(keep=before if keep_weights else None)
            self.restart()
            return
        self.net.activations = settings.all_activations
        if "optimizer" in names:
            self._make_optimizer()
        if names - {"epochs_per_second", "show_test", "discretize", "hidden"}:
            self.altered = self.altered or self.epoch > 0
        if "loss" in names or "activation" in names or "activations" in names:
            self.history[-1] = Losses(self.epoch, *self._both(self._loss))

    def reset(self, *, keep_weights: bool = False) -> None:
        """Back to epoch 0: with the weights it began with, or with those it has now."""
        if not keep_weights:
            self.net.parameters[:] = self.start
        self.restart()

    def new_weights(self, seed: str) -> None:
        """Begin anew with weights of another seed."""
        self.change(weight_seed=seed)

    def edit(self, layer: int, neuron: int, source: int | None, value: float) -> None:
        """Set the weight of ``source``'s value in a neuron's sum, or its bias (source None). Layer 0 follows the
        inputs; the last is the output. A dead weight lives again.

        Raises:
            LimpidError: no such weight, or no number.
        """
        if not abs(value) <= MAX_WEIGHT:
            raise LimpidError(
                f"a weight cannot be {value!r:.40}: it is a number from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}."
            )
        at = self.place(layer, neuron, source)
        self.net.parameters[at] = value
        self.dead[at] = False
        self._any_dead = bool(self.dead.any())
        if self.epoch == 0:
            self.start[at] = value
        else:
            self.altered = True
        self.history[-1] = Losses(self.epoch, *self._both(self._loss))

    def place(self, layer: int, neuron: int, source: int | None) -> int:
        """Where a weight or bias stands among the parameters. Raises LimpidError."""
        sizes = self.net.sizes
        if not (
            0 <= layer < len(sizes) - 1
            and 0 <= neuron < sizes[layer + 1]
            and (source is None or 0 <= source < sizes[layer])
        ):
            raise LimpidError(f"there is no weight ({layer}, {neuron}, {source}) in this net.")
        first = sum(n * m + n for n, m in zip(sizes[1 : layer + 1], sizes[:layer], strict=True))
        rows, columns = sizes[layer + 1], sizes[layer]
        return first + (rows * columns + neuron if source is None else neuron * columns + source)

    # -------------------------------------------------------------- looking

    def predict(self, points: Any) -> Floats:
        """The net's output at points: (N, 2) -> (N)."""
        inputs = inputs_of(np.asarray(points, dtype=np.float64).reshape(-1, 2), self.settings.inputs)
        return np.asarray(self.net.output(inputs)[1], dtype=np.float64)

    def maps(self, size: int = MAP) -> list[Array]:
        """Every neuron's value over the map, layer by layer, float32: (n, size, size), first row at x2 = 6."""
        inputs = inputs_of(grid(size), self.settings.inputs)
        with np.errstate(all="ignore"):
            return [values.T.reshape(-1, size, size) for values in self.net.forward(inputs)]

    def numpy_program(self) -> str:
        """A Python program, NumPy alone, that trains this net: the same weights after as many epochs."""
        from limpid.lessons.playground.export import numpy_program

        return numpy_program(self)

    def torch_program(self) -> str:
        """The same with PyTorch."""
        from limpid.lessons.playground.export import torch_program

        return torch_program(self)

    def _repr_html_(self) -> str:
        from limpid.lessons.playground.view import overview

        return overview(self)

    # -------------------------------------------------------------- making

    def restart(self) -> None:
        """Epoch 0 from the weights that are there: none is dead, and the optimizer remembers nothing."""
        self.epoch, self.altered, self.exploded, self.history = 0, False, None, []
        self.start = self.net.parameters.copy()
        self.dead, self._any_dead = np.zeros(len(self.start), dtype=bool), False
        self._dropout = np.random.default_rng(dropout_seed(self.settings))
        self._make_optimizer()
        self._measure()

    def _make_optimizer(self) -> None:
        self._optimizer = OPTIMIZERS[self.settings.optimizer](len(self.net.parameters))

    def _make_data(self) -> None:
        settings, random = self.settings, SeededRandom(self.settings.seed)
        if settings.data_name == OWN:
            if self.own is None:
                raise LimpidError("there are no points of your own yet: give a CSV file, or draw some.")
            rows = self.own.rows
        elif settings.problem == "regression":
            rows = REGRESSION[settings.reg_dataset](REGRESSION_COUNT, settings.noise / 100, random)
        else:
            rows = CLASSIFICATION[settings.dataset](CLASSIFICATION_COUNT, settings.noise / 100, random)
        data = split(rows, settings.train_percent, random)
        self.data = data._replace(train=max(data.train, 1))
        self._random_after_data = random

    def _make_net(self, keep: tuple[Net, Settings] | None) -> None:
        settings = self.settings
        net = Net((len(settings.inputs), *settings.layers, 1), settings.all_activations)
        if not settings.init_zero:
            net.draw(self._weight_random())
        if keep is not None:
            old, old_settings = keep
            net.take_over(old, settings.inputs, old_settings.inputs)
        self.net = net
        self.inputs = np.asarray(inputs_of(self.data.points, settings.inputs), dtype=np.float64)

    def _weight_random(self) -> SeededRandom:
        """Weights go on where the data's random numbers end, as they do when TensorFlow Playground is opened."""
        if self.settings.weight_seed:
            return SeededRandom(self.settings.weight_seed)
        return self._random_after_data.copy()


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else math.nan


def dropout_seed(settings: Settings) -> list[int]:
    """The seed of NumPy's generator that draws what dropout leaves out."""
    return list(f"{settings.seed} {settings.weight_seed}".encode())


def grid(size: int) -> npt.NDArray[np.float32]:
    """The places of the map's cells: (size * size, 2), row by row from x2 = 6 down."""
    line = np.linspace(-REACH, REACH, size, dtype=np.float32)
    x, y = np.meshgrid(line, line[::-1])
    return np.column_stack((x.ravel(), y.ravel()))
