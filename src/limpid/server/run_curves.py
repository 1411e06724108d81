"""The metrics of runs as columns: read once, then only what has been added, and thinned so that a page can draw them.

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
from array import array
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pyarrow.json import read_json
from pyarrow.lib import ArrowException
from pyarrow.types import is_floating, is_integer

from limpid.stages.runs import Digest

Doubles = npt.NDArray[np.float64]
Axis = Literal["step", "tokens", "seconds", "flops"]
FILES = 64
"""Runs whose columns are kept; the least recently asked about goes first."""
HELD_OUT = "held out: "
"""Begins the names of measures that stand on lines of their own, of held-out data."""
NOT_SMOOTHED = ("learning_rate",)
"""What has no noise to be rid of."""
_MARK = 256
_LARGE = 256 * 1024
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
    """One metrics.jsonl, which a training may be writing. `read` takes in what is new; the rest answers from memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._at, self._mark, self._inode = 0, b"", 0
        self.damaged = 0
        self.revision = next(_revisions)
        self._steps, self._tokens, self._seconds = array("d"), array("d"), array("d")  # of training's own lines
        self._columns: dict[str, tuple[array[float], array[float]]] = {}
        self._newest: dict[str, float] = {}
        self._best_bits: float | None = None

    def read(self) -> None:
        """Take in the lines that were added; all of them anew where the file was replaced or cut, as a resume does.

        A last line without its end is left for the next time. OSError: the file cannot be read.
        """
        with self._lock, self._path.open("rb") as file:
            state = os.fstat(file.fileno())
            file.seek(max(0, self._at - _MARK))
            if state.st_ino != self._inode or state.st_size < self._at or file.read(len(self._mark)) != self._mark:
                self._begin()
            self._inode = state.st_ino
            file.seek(self._at)
            new = file.read()
            whole = new.rfind(b"\n") + 1
            if not whole:
                return
            self._at += whole
            file.seek(max(0, self._at - _MARK))
            self._mark = file.read(min(_MARK, self._at))
            self.revision = next(_revisions)
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
        there = {name: np.isfinite(values) for name, values in columns.items()}
        held_out = np.zeros(len(table), dtype=bool)
        for name in columns:
            if name.startswith(("validation_", "right/")):
                held_out |= there[name]
        nothing = np.zeros(len(table))
        for own, name in ((self._steps, "step"), (self._tokens, "tokens"), (self._seconds, "seconds")):
            own.frombytes(np.nan_to_num(columns.get(name, nothing))[~held_out].tobytes())
        for name, values in columns.items():
            if name in ("step", "tokens", "seconds") or not there[name].any():
                continue
            self._newest[name] = float(values[there[name]][-1])
            for prefix, rows in (("", there[name] & ~held_out), (HELD_OUT, there[name] & held_out)):
                if rows.any():
                    steps, numbers = self._columns.setdefault(prefix + name, (array("d"), array("d")))
                    steps.frombytes(columns["step"][rows].tobytes())
                    numbers.frombytes(values[rows].tobytes())
        bits = columns.get("validation_bits_per_byte")
        if bits is not None and np.isfinite(bits).any():
            least = float(np.nanmin(bits))
            self._best_bits = least if self._best_bits is None else min(least, self._best_bits)
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
        values = {name: value for name, value in record.items() if _is_finite(value)}
        held_out = any(name.startswith(("validation_", "right/")) for name in values)
        if not held_out:
            self._steps.append(step)
            self._tokens.append(values.get("tokens", 0))
            self._seconds.append(values.get("seconds", 0))
        for name, value in values.items():
            if name in ("step", "tokens", "seconds"):
                continue
            self._newest[name] = value
            steps, numbers = self._columns.setdefault(HELD_OUT + name if held_out else name, (array("d"), array("d")))
            steps.append(step)
            numbers.append(value)
        bits = values.get("validation_bits_per_byte")
        if bits is not None:
            self._best_bits = bits if self._best_bits is None else min(bits, self._best_bits)

    @property
    def digest(self) -> Digest:
        with self._lock:
            steps = [int(column[0][-1]) for column in self._columns.values()]
            return Digest(max(steps, default=None), self._best_bits, dict(self._newest))

    def names(self) -> list[str]:
        with self._lock:
            return list(self._columns)

    def lines(self, names: list[str], window: Window, flops_per_token: float | None) -> dict[str, Any]:
        """name -> {"x", "y"} and, where it is smoothed, "smooth": {"x", "y"}; as many numbers of each as are drawn."""
        with self._lock:
            chosen = {name: tuple(np.array(part) for part in self._columns[name]) for name in names
                      if name in self._columns}  # fmt: skip
            over = self._axis(window.axis, flops_per_token)
        found = {}
        for name, (steps, values) in chosen.items():
            x = steps if over is None else np.interp(steps, *over)
            line: dict[str, Any] = _drawn(x, values, window)
            if window.smooth and len(values) > 2 and name not in NOT_SMOOTHED and not name.startswith(HELD_OUT):
                line["smooth"] = _drawn(x, smoothed(values, window.smooth), window)
            found[name] = line
        return found

    def _axis(self, axis: Axis, flops_per_token: float | None) -> tuple[Doubles, Doubles] | None:
        """Steps and what has been reached at each of them; None: the steps themselves."""
        if axis == "step" or not self._steps or (axis == "flops" and not flops_per_token):
            return None
        reached = np.cumsum(np.array(self._seconds if axis == "seconds" else self._tokens))
        return np.array(self._steps), reached * (flops_per_token or 1) if axis == "flops" else reached


def smoothed(values: Doubles, weight: float) -> Doubles:
    """The exponential moving mean, freed of its bias towards the beginning (Kingma and Ba 2015, section 3)."""
    sums = np.fromiter(
        itertools.accumulate(values, lambda past, value: weight * past + (1 - weight) * value, initial=0.0), float
    )
    found: Doubles = sums[1:] / (1 - weight ** np.arange(1, len(values) + 1))
    return found


def thinned(x: Doubles, y: Doubles, most: int, *, log: bool = False) -> npt.NDArray[np.int64]:
    """Places of at most about ``most`` points of a line, x ascending: of each stretch of x the first, the last, the
    lowest and the highest."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.log(np.maximum(x, 1e-12)) if log else x
    width = along[-1] - along[0] or 1.0
    stretch = np.minimum((along - along[0]) / width * (most // 4), most // 4 - 1).astype(np.int64)
    order = np.lexsort((y, stretch))
    firsts = np.flatnonzero(np.diff(stretch, prepend=-1))  # x ascends, and so do the stretches
    lasts = np.append(firsts[1:], len(x)) - 1
    return np.unique(np.concatenate([firsts, lasts, order[firsts], order[lasts]]))


def _drawn(x: Doubles, y: Doubles, window: Window) -> dict[str, list[float]]:
    inside = np.ones(len(x), dtype=bool)
    if window.low is not None:
        inside &= x >= window.low
    if window.high is not None:
        inside &= x <= window.high
    x, y = x[inside], y[inside]
    kept = thinned(x, y, max(8, window.most), log=window.log)
    return {"x": _short(x[kept]), "y": _short(y[kept])}


def _short(values: Doubles) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class MetricsShelf:
    """The columns of many runs, by their file."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, MetricsFile] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> MetricsFile | None:
        """Blocking; up to date. None: there is no such file (yet, or any more)."""
        with self._lock:
            file = self._kept.get(path) or MetricsFile(path)
            self._kept[path] = file
            self._kept.move_to_end(path)
            while len(self._kept) > FILES:
                self._kept.popitem(last=False)
        try:
            file.read()
        except OSError:
            return None
        return file
