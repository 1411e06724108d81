"""One's own points: from CSV text, or drawn; and as a piece of an address."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError

Floats = npt.NDArray[np.float64]
REACH = 6.0
"""The map shows x1 and x2 from -6 to 6."""
MAX_POINTS = 2000
MAX_ADDRESS_POINTS = 1000
_FITTED = 5.0
_TOO_FEW = 2


class OwnData(NamedTuple):
    """rows: x1, x2, label, each a float32's value: (N, 3). said: what was made of the text, in one line."""

    rows: Floats
    said: str


def read_csv(text: str, problem: str, *, fit: bool = False) -> OwnData:
    """Points of CSV text: three columns (x1, x2, label), with a heading or not; comma, semicolon or tab.

    The labels of a classification are any two words or numbers; the one that comes first in order becomes -1. fit:
    scale each of x1 and x2 to [-5, 5], and the numbers that a regression is to give to [-1, 1].

    Raises:
        LimpidError: with the line and the column at fault.
    """
    lines = _lines(text)
    if lines and not all(_number(cell) is not None for cell in lines[0][1][:2]):
        heading, lines = lines[0], lines[1:]
        if any(_number(cell) is not None for cell in heading[1][:2]):
            place = 1 if _number(heading[1][0]) is None else 2
            raise _fault(heading[0], place, f"{_shown(heading[1][place - 1])} is no number")
    if len(lines) < _TOO_FEW:
        raise LimpidError(f"CSV: {len(lines)} points are too few; each line is x1, x2, label, as in 1.5,-2,1")
    if len(lines) > MAX_POINTS:
        raise LimpidError(f"CSV: {len(lines)} points are too many; there may be {MAX_POINTS}.")
    places = np.array([[_coordinate(line, cells, at, fit) for at in (0, 1)] for line, cells in lines])
    labels, said = _classes(lines) if problem == "classification" else _targets(lines, fit)
    if fit:
        places = np.column_stack([_scaled(column, _FITTED) for column in places.T])
    return OwnData(_rounded(np.column_stack((places, labels))), f"{len(lines)} points. {said}")


def from_rows(rows: Sequence[Sequence[float]], problem: str) -> OwnData:
    """Points that were drawn. Raises LimpidError."""
    if len(rows) > MAX_POINTS:
        raise LimpidError(f"{len(rows)} points are too many; there may be {MAX_POINTS}.")
    if len(rows) < _TOO_FEW:
        raise LimpidError("draw at least two points.")
    for place, row in enumerate(rows, 1):
        if len(row) != 3 or not all(_is_number(value) for value in row):
            raise LimpidError(f"point {place}: {str(row)[:60]} is not x1, x2, label.")
        if max(abs(row[0]), abs(row[1])) > REACH:
            raise LimpidError(f"point {place} lies outside of the map, which is from -6 to 6.")
        if problem == "classification" and row[2] not in (-1, 1):
            raise LimpidError(f"point {place}: the label {row[2]:g} is neither -1 nor 1.")
        if abs(row[2]) > 1:
            raise LimpidError(f"point {place}: the label {row[2]:g} is not from -1 to 1.")
    return OwnData(_rounded(np.array(rows, dtype=np.float64)), f"{len(rows)} points.")


def to_address(data: OwnData) -> str:
    """The points as text for an address; empty where there are more than `MAX_ADDRESS_POINTS`."""
    if len(data.rows) > MAX_ADDRESS_POINTS:
        return ""
    packed = zlib.compress(data.rows.astype("<f4").tobytes(), 9)
    return base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def from_address(text: str, problem: str) -> OwnData:
    """What `to_address` wrote. Raises LimpidError."""
    most = MAX_ADDRESS_POINTS * 12
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        opened = zlib.decompressobj()
        raw = opened.decompress(packed, most + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise LimpidError("points: this is not what limpid writes; the address was cut or changed.") from None
    if len(raw) % 12 or not opened.eof or opened.unused_data:
        raise LimpidError("points: these are no whole points; the address was cut or changed.")
    return from_rows(np.frombuffer(raw, dtype="<f4").reshape(-1, 3).astype(np.float64).tolist(), problem)


# ------------------------------------------------------------------ CSV


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """(number of the line, its three cells) of every line that is not empty."""
    text = text.removeprefix("\ufeff")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    found = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if len(cells) != 3:
                what = "is missing" if len(cells) < 3 else "is one too many"
                raise _fault(reader.line_num, min(len(cells), 3) + 1, f"it {what}; a line is x1, x2, label")
            found.append((reader.line_num, cells))
    except csv.Error as error:
        raise LimpidError(f"CSV, line {reader.line_num}: {error}.") from None
    return found


def _coordinate(line: int, cells: Sequence[str], at: int, fit: bool) -> float:
    value = _number(cells[at])
    if value is None:
        raise _fault(line, at + 1, f"{_shown(cells[at])} is no number")
    if not fit and abs(value) > REACH:
        raise _fault(line, at + 1, f"{value:g} lies outside of the map, from -6 to 6; choose 'fit to the map'")
    return value


def _classes(lines: Sequence[tuple[int, Sequence[str]]]) -> tuple[Floats, str]:
    values = [_number(cells[2]) for _, cells in lines]
    words = [cells[2] for _, cells in lines]
    for line, cells in lines:
        if not cells[2]:
            raise _fault(line, 3, "the label is missing")
    keys: list[Any] = (
        words if any(value is None for value in values) else [value for value in values if value is not None]
    )
    names = sorted(set(keys))
    if len(names) != 2:
        line = lines[-1][0]
        if len(names) > 2:
            seen: list[Any] = []
            for (number, _), key in zip(lines, keys, strict=True):
                if key not in seen:
                    seen.append(key)
                if len(seen) == 3:
                    line = number
                    break
            raise _fault(line, 3, f"{_shown(str(seen[2]))} is a third class; two are wanted")
        raise _fault(line, 3, f"all labels are {_shown(str(names[0]))}; two classes are wanted")
    low, high = (f"{name:g}" if isinstance(name, float) else name for name in names)
    return np.where([key == names[1] for key in keys], 1.0, -1.0), f"{_shown(low)} is -1, {_shown(high)} is +1."


def _targets(lines: Sequence[tuple[int, Sequence[str]]], fit: bool) -> tuple[Floats, str]:
    found = []
    for line, cells in lines:
        value = _number(cells[2])
        if value is None:
            raise _fault(line, 3, f"{_shown(cells[2])} is no number, and regression needs one")
        if not fit and abs(value) > 1:
            raise _fault(line, 3, f"{value:g} is not from -1 to 1; choose 'fit to the map'")
        found.append(value)
    labels = np.array(found)
    return (_scaled(labels, 1.0), f"Labels from {labels.min():g} to {labels.max():g} became -1 to 1.") if fit else (
        labels, f"Labels from {labels.min():g} to {labels.max():g}."
    )  # fmt: skip


def _scaled(values: Floats, reach: float) -> Floats:
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros_like(values)
    return np.asarray((values / 2 - low / 2) / (high / 2 - low / 2) * 2 * reach - reach)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _rounded(rows: Floats) -> Floats:
    return rows.astype(np.float32).astype(np.float64)


def _fault(line: int, column: int, what: str) -> LimpidError:
    return LimpidError(f"CSV, line {line}, column {column}: {what}.")


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
