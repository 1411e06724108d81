"""The measures of a run as columns of numbers: a row a line of its file, NaN where a line lacks a measure."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


class Rows:
    """Lines of one kind, in the order of the file. names: of the columns, in the order they first came."""

    def __init__(self) -> None:
        self._steps = array("d")
        self._columns: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    @property
    def held_bytes(self) -> int:
        return 8 * len(self) * (1 + len(self._columns))

    @property
    def steps(self) -> Doubles:
        return np.array(self._steps)

    def extend(self, steps: Doubles, columns: Mapping[str, Doubles]) -> None:
        """Add lines: their steps (N,), and of each name its values (N,), NaN where there is none."""
        before = len(self)
        self._steps.frombytes(steps.astype(np.float64).tobytes())
        for name in columns:
            if name not in self._columns:
                self._columns[name] = array("d", _nothing(before))
        for name, column in self._columns.items():
            column.frombytes((columns[name] if name in columns else _nothing(len(steps))).tobytes())

    def column(self, name: str) -> Doubles:
        """(rows,) with NaN where a line lacks it; nothing but NaN where no line has it."""
        return np.array(self._columns[name]) if name in self._columns else _nothing(len(self))

    def line(self, name: str) -> tuple[Doubles, Doubles]:
        """The steps at which a measure was taken, and its values there."""
        values = self.column(name)
        there = ~np.isnan(values)
        return self.steps[there], values[there]


def _nothing(count: int) -> Doubles:
    return np.full(count, np.nan)
