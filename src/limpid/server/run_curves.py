"""The metrics of runs as lines: read once, then only what has been added, and thinned so that a page can draw them.

A drawn line has at most a few hundred points, however many steps a run has: of each stretch the first and last point,
the lowest and the highest are kept, so that no spike is lost. What is smoothed is smoothed before it is thinned.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import threading
import time
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pyarrow.json import read_json
from pyarrow.lib import ArrowException
from pyarrow.types import is_floating, is_integer

from limpid.server.run_columns import Rows
from limpid.server.thinning import reach, smoothed, thinned
from limpid.stages.runs import Digest

Doubles = npt.NDArray[np.float64]
Axis = Literal["step", "tokens", "seconds", "flops"]
HELD_OUT = "held out: "
"""Begins the names of measures that stand on lines of their own, of held-out data."""
NOT_SMOOTHED = ("learning_rate",)
"""What has no noise to be rid of."""
NOT_DRAWN = ("step", "tokens", "seconds")
"""What is counted up along the other axes."""
DRAWN = 4
"""Answers that a file keeps, by what was asked."""
_MARK = 256
_LARGE = 256 * 1024
_PART = 4 * 2**20
"""Bytes that are read and understood at a time."""
_revisions = itertools.count(int(1000 * time.time()))
"""Of all files together, and of servers that follow each other: a page that has drawn one is never told that it is the
newest of another reading."""


class Window(NamedTuple):
    """What a page draws: values over ``axis``, from ``low`` to ``high`` of it. most: points of a line. log: stretches
    are even on a logarithmic axis. smooth: weight of the past in the moving mean, 0 to less than 1."""

    axis: Axis = "step"
    low: float | None = None
    high: float | None = None
    most: int = 400
    log: bool = False
    smooth: float = 0.0


class MetricsFile:
    """One metrics.jsonl, which a training may be writing. `read` takes in what is new; the rest answers from memory.

    size: bytes of the file when it was last looked at. behind: those of them that are whole lines (or may be) and have
    not been read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.size = self.behind = 0
        self._begin()

    def _begin(self) -> None:
        self._at, self._mark, self._inode = 0, b"", 0
        self.damaged = 0
        self.revision = next(_revisions)
        self._training, self._held_out = Rows(), Rows()
        self._newest: dict[str, float] = {}
        self._best_bits: float | None = None
        self._drawn: OrderedDict[Any, dict[str, Any]] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        """What the columns take."""
        return self._training.held_bytes + self._held_out.held_bytes

    def read(self, most: int | None = None) -> int:
        """Take in the lines that were added; all of them anew where the file was replaced or cut, as a resume does.

        A last line without its end is left for the next time. most: read about so many bytes, and leave the rest
        `behind`. Returns how many were read. OSError: the file cannot be read.
        """
        with self._lock, self._path.open("rb") as file:
            state = os.fstat(file.fileno())
            file.seek(max(0, self._at - _MARK))
            if state.st_ino != self._inode or state.st_size < self._at or file.read(len(self._mark)) != self._mark:
                self._begin()
            self._inode, self.size = state.st_ino, state.st_size
            self.behind = self.size - self._at
            begun = self._at
            while self.behind and (most is None or self._at - begun < most):
                self._read_part(file)
            return self._at - begun

    def _read_part(self, file: BinaryIO) -> None:
        file.seek(self._at)
        new, whole = b"", 0
        while not whole:
            more = file.read(_PART)
            new += more
            whole = new.rfind(b"\n") + 1
            if not more:
                self.behind = 0
                if not whole:
                    return
        self._at += whole
        self.behind = max(0, self.size - self._at)
        file.seek(max(0, self._at - _MARK))
        self._mark = file.read(min(_MARK, self._at))
        self.revision = next(_revisions)
        self._drawn.clear()
        if whole < _LARGE or not self._take_table(new[:whole]):
            for line in new[:whole].splitlines():
                self._take(line)

    def _take_table(self, lines: bytes) -> bool:
        """As `_take` of each line, ten times as fast; False, and nothing taken, where a line is damaged."""
        try:
            table = read_json(BytesIO(lines))
        except ArrowException:
            return False
        if "step" not in table.column_names or table["step"].null_count or not is_integer(table["step"].type):
            return False
        columns = {
            name: table[name].to_numpy().astype(np.float64)  # what a line lacks is NaN
            for name in table.column_names
            if is_integer(table[name].type) or is_floating(table[name].type)
        }
        columns = {name: np.where(np.isfinite(values), values, np.nan) for name, values in columns.items()}
        steps = columns.pop("step")
        held_out = np.zeros(len(steps), dtype=bool)
        for name, values in columns.items():
            if _is_held_out(name):
                held_out |= ~np.isnan(values)
        for rows, chosen in ((self._training, ~held_out), (self._held_out, held_out)):
            parts = {name: values[chosen] for name, values in columns.items()}
            rows.extend(steps[chosen], {name: part for name, part in parts.items() if not np.isnan(part).all()})
        self._note({name: values[~np.isnan(values)] for name, values in columns.items()})
        return True

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            step = record["step"]
        except (ValueError, KeyError, TypeError):
            self.damaged += bool(line.strip())
            return
        if isinstance(step, bool) or not isinstance(step, int):
            self.damaged += 1
            return
        values = {name: np.array([value]) for name, value in record.items() if name != "step" and _is_finite(value)}
        rows = self._held_out if any(map(_is_held_out, values)) else self._training
        rows.extend(np.array([step], dtype=np.float64), {name: v.astype(np.float64) for name, v in values.items()})
        self._note(values)

    def _note(self, values: dict[str, npt.NDArray[Any]]) -> None:
        """Keep what the newest lines say, and the least bits per byte."""
        for name, told in values.items():
            if len(told) and name not in NOT_DRAWN:
                self._newest[name] = float(told[-1])
            if len(told) and name == "validation_bits_per_byte":
                self._best_bits = min(float(told.min()), math.inf if self._best_bits is None else self._best_bits)

    @property
    def digest(self) -> Digest:
        with self._lock:
            last = [int(rows.steps[-1]) for rows in (self._training, self._held_out) if len(rows)]
            return Digest(max(last, default=None), self._best_bits, dict(self._newest))

    def names(self) -> list[str]:
        with self._lock:
            held = [HELD_OUT + name for name in self._held_out.names if name not in NOT_DRAWN]
            return [name for name in self._training.names if name not in NOT_DRAWN] + held

    def lines(self, names: list[str], window: Window, flops_per_token: float | None) -> dict[str, Any]:
        """name -> {"x", "y"} and, where it is smoothed, "smooth": {"x", "y"}; as many numbers of each as are drawn."""
        with self._lock:
            asked = (tuple(names), window, flops_per_token)
            if asked not in self._drawn:
                self._drawn[asked] = self._lines(names, window, flops_per_token)
                while len(self._drawn) > DRAWN:
                    self._drawn.popitem(last=False)
            return self._drawn[asked]

    def _lines(self, names: list[str], window: Window, flops_per_token: float | None) -> dict[str, Any]:
        over, found = self._axis(window.axis, flops_per_token), {}
        for name in names:
            rows = self._held_out if name.startswith(HELD_OUT) else self._training
            steps, values = rows.line(name.removeprefix(HELD_OUT))
            if not len(values):
                continue
            x = steps if over is None else np.interp(steps, *over)
            line: dict[str, Any] = _drawn(x, values, window)
            if window.smooth and len(values) > 2 and name not in NOT_SMOOTHED and rows is self._training:
                line["smooth"] = _smoothly_drawn(x, values, window)
            found[name] = line
        return found

    def _axis(self, axis: Axis, flops_per_token: float | None) -> tuple[Doubles, Doubles] | None:
        """Steps and what has been reached at each of them; None: the steps themselves."""
        if axis == "step" or not len(self._training) or (axis == "flops" and not flops_per_token):
            return None
        reached = np.nancumsum(self._training.column("seconds" if axis == "seconds" else "tokens"))
        return self._training.steps, reached * (flops_per_token or 1) if axis == "flops" else reached


def _inside(x: Doubles, window: Window) -> npt.NDArray[np.bool_]:
    inside = np.ones(len(x), dtype=bool)
    if window.low is not None:
        inside &= x >= window.low
    if window.high is not None:
        inside &= x <= window.high
    return inside


def _drawn(x: Doubles, y: Doubles, window: Window) -> dict[str, list[float]]:
    inside = _inside(x, window)
    x, y = x[inside], y[inside]
    kept = thinned(x, y, max(8, window.most), log=window.log)
    return {"x": _short(x[kept]), "y": _short(y[kept])}


def _smoothly_drawn(x: Doubles, y: Doubles, window: Window) -> dict[str, list[float]]:
    """As `_drawn`, of the moving mean; only of what lies in the window, and of what reaches into it."""
    inside = np.flatnonzero(_inside(x, window))
    if not len(inside):
        return {"x": [], "y": []}
    start, end = max(0, inside[0] - reach(window.smooth)), inside[-1] + 1
    return _drawn(x[start:end], smoothed(y[start:end], window.smooth, before=start), window)


def _short(values: Doubles) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _is_held_out(name: str) -> bool:
    return name.startswith(("validation_", "right/"))


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
