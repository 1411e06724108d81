"""A playground as its page sees it: messages in, pictures and states out."""

from __future__ import annotations

import base64
import math
from dataclasses import asdict
from typing import Any

from limpid.core.errors import LimpidError, did_you_mean
from limpid.lessons.pace import Pace
from limpid.lessons.playground import address
from limpid.lessons.playground.datasets import CLASSIFICATION, REGRESSION
from limpid.lessons.playground.features import FEATURES
from limpid.lessons.playground.frames import THUMB, as_bytes, feature_maps, frame
from limpid.lessons.playground.own_data import OwnData, from_rows, read_csv
from limpid.lessons.playground.seeded import SeededRandom
from limpid.lessons.playground.settings import OWN, Settings
from limpid.lessons.playground.training import Losses, Playground
from limpid.lessons.worker import Send

_THUMBNAIL_POINTS = 200
_NO_NEED = {"show_test", "discretize", "hidden", "epochs_per_second"}
"""Dials that only the page heeds."""


class PlaygroundSession:
    """See `receive` for what a page may ask. What cannot be done is told as ``{"fault": line}``."""

    def __init__(self) -> None:
        self.playground = Playground()
        self._pace = Pace()
        self._look: tuple[int, int] | None = None
        self._shape = 0
        self._told = 0
        self._stale = False

    def receive(self, message: dict[str, Any], send: Send) -> None:
        """Do one of:

        open (address); change (changes, keep); run; pause; step; reset (keep); edit (layer, neuron, source, value);
        csv (text, fit); points (rows); look (layer, neuron, or neither); drawn (number); program (kind).

        Raises:
            LimpidError: it cannot be done, and all is as it was.
        """
        does = {
            "open": self._open, "change": self._change, "run": self._run, "pause": self._pause, "step": self._step,
            "reset": self._reset, "edit": self._edit, "csv": self._csv, "points": self._points, "look": self._look_at,
            "drawn": self._drawn, "program": self._program,
        }  # fmt: skip
        name = message.get("do")
        if name not in does:
            raise LimpidError(f"the playground cannot do {str(name)[:40]!r}.{did_you_mean(str(name)[:40], does)}")
        does[name](message, send)

    def work(self, now: float, send: Send) -> float | None:
        """Train as fast as was asked, and send a picture where one is due and wanted."""
        pace = self._pace
        if not pace.open or not (pace.running or self._stale):
            return None
        wait = pace.frame_due(now)
        if wait > 0:
            return wait
        if pace.running:
            pace.train(now, self.playground.settings.epochs_per_second, self._epoch)
            if self.playground.exploded is not None:
                self._halt(send)
        self._picture(send)
        return max(pace.frame_due(now), 0.001) if pace.running else None

    def _epoch(self) -> bool:
        self.playground.step()
        return self.playground.exploded is None

    def _halt(self, send: Send) -> None:
        """Numbers that are no longer finite stop the training, and it is said why."""
        self._pace.running = False
        send({"fault": str(self.playground.explosion()), "exploded": True})
        self._tell(send)

    # -------------------------------------------------------------- asked for

    def _open(self, message: dict[str, Any], send: Send) -> None:
        found = address.read(_text(message, "address"))
        self.playground = Playground(found.settings, own=found.own)
        self._pace.running = False
        send({"thumbnails": _thumbnails(), "features": _features(), "faults": found.faults})
        self._begin(send)

    def _change(self, message: dict[str, Any], send: Send) -> None:
        changes = message.get("changes")
        if not isinstance(changes, dict):
            raise LimpidError("changes is an object of settings.")
        before = self.playground.net.sizes
        epoch = self.playground.epoch
        self.playground.change(keep_weights=message.get("keep") is True, **changes)
        if set(changes) <= _NO_NEED:
            self._tell(send)
        elif self.playground.net.sizes != before or self.playground.epoch < epoch or epoch == 0:
            self._begin(send)
        else:
            self._tell(send)

    def _run(self, message: dict[str, Any], send: Send) -> None:
        if self.playground.exploded is not None:
            raise self.playground.explosion()
        self._pace.start()
        self._tell(send)

    def _pause(self, message: dict[str, Any], send: Send) -> None:
        self._pace.running = False
        self._tell(send)

    def _step(self, message: dict[str, Any], send: Send) -> None:
        self._pace.running = False
        self.playground.step()
        if self.playground.exploded is not None:
            self._halt(send)
        self._tell(send)

    def _reset(self, message: dict[str, Any], send: Send) -> None:
        self._pace.running = False
        self.playground.reset(keep_weights=message.get("keep") is True)
        self._begin(send)

    def _edit(self, message: dict[str, Any], send: Send) -> None:
        source = None if message.get("source") is None else _whole(message, "source")
        value = message.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LimpidError("a weight is a number.")
        self.playground.edit(_whole(message, "layer"), _whole(message, "neuron"), source, value)
        self._tell(send)

    def _csv(self, message: dict[str, Any], send: Send) -> None:
        problem = self.playground.settings.problem
        own = read_csv(_text(message, "text"), problem, fit=message.get("fit") is True)
        self._take(own, send)

    def _points(self, message: dict[str, Any], send: Send) -> None:
        rows = message.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise LimpidError("rows is a list of [x1, x2, label].")
        self._take(from_rows(rows, self.playground.settings.problem), send)

    def _take(self, own: OwnData, send: Send) -> None:
        if self.playground.settings.problem == "regression":
            self.playground.change(own=own, reg_dataset=OWN)
        else:
            self.playground.change(own=own, dataset=OWN)
        self._pace.running = False
        send({"said": own.said})
        self._begin(send)

    def _look_at(self, message: dict[str, Any], send: Send) -> None:
        sizes = (len(FEATURES), *self.playground.net.sizes[1:])
        look = None
        if message.get("layer") is not None:
            look = layer, neuron = _whole(message, "layer"), _whole(message, "neuron")
            if not (-1 <= layer < len(sizes) - 1 and 0 <= neuron < sizes[layer + 1]):
                raise LimpidError("there is no such neuron.")
        self._look = look
        self._stale = True

    def _drawn(self, message: dict[str, Any], send: Send) -> None:
        self._pace.drawn(_whole(message, "number"))

    def _program(self, message: dict[str, Any], send: Send) -> None:
        kind = message.get("kind")
        if kind not in ("numpy", "torch"):
            raise LimpidError("kind is numpy or torch.")
        make = self.playground.torch_program if kind == "torch" else self.playground.numpy_program
        send({"program": make(), "kind": kind})

    # -------------------------------------------------------------- told

    def _begin(self, send: Send) -> None:
        """Tell of another net or other data."""
        self._shape += 1
        self._look, self._told = None, 0
        data = self.playground.data
        rows = [[*point, label] for point, label in zip(data.points.tolist(), data.labels.tolist(), strict=True)]
        send({"points": [[round(value, 4) for value in row] for row in rows], "train": data.train})
        self._tell(send)

    def _tell(self, send: Send) -> None:
        """Tell of the state; a picture follows."""
        p = self.playground
        send({
            "settings": asdict(p.settings), "address": p.address, "shape": self._shape, "sizes": list(p.net.sizes),
            "activations": list(p.settings.all_activations), "running": self._pace.running, "epoch": p.epoch,
            "altered": p.altered, "exploded": p.exploded, "own": p.own is not None,
        })  # fmt: skip
        self._stale = True

    def _picture(self, send: Send) -> None:
        history = self.playground.history
        news = history[self._told :] or history[-1:]
        self._told = len(history)
        self._stale = False
        losses = [
            Losses(one.epoch, *(value if math.isfinite(value) else math.nan for value in one[1:])) for one in news
        ]
        number = self._pace.next_number()
        send(frame(self.playground, number, self._shape, losses, self._look, running=self._pace.running))


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise LimpidError(f"{name} is a text.")
    return value


def _whole(message: dict[str, Any], name: str) -> int:
    value = message.get(name)
    if type(value) is not int:
        raise LimpidError(f"{name} is a whole number.")
    return value


def _thumbnails() -> dict[str, list[list[float]]]:
    """Points of every data set, without noise."""
    seed = Settings().seed
    return {
        name: [[round(value, 2) for value in row] for row in make(_THUMBNAIL_POINTS, 0.0, SeededRandom(seed)).tolist()]
        for name, make in (CLASSIFICATION | REGRESSION).items()
    }


def _features() -> str:
    """The maps of all features, (9, THUMB, THUMB) bytes as base64."""
    return base64.b64encode(as_bytes(feature_maps(THUMB)).tobytes()).decode("ascii")
