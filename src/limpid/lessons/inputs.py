"""What a reader may change in a lesson: a kind, its bounds, and a value written as Python."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError

_KIND = re.compile(
    r"^(?P<kind>\w+)\((?:(?P<least>\d+)\.\.(?P<most>\d+) of )?(?P<low>-?[\d.]+?)\.\.(?P<high>-?[\d.]+)\)$"
)


class Input(NamedTuple):
    """kind: number, integer, numbers, matrix or text.

    low, high: of each number, or of the length of a text. least, most: how many numbers, or rows; a matrix keeps its
    columns. literal: the value as it stands in the code.
    """

    name: str
    kind: str
    en: str
    zh: str
    low: float
    high: float
    least: int
    most: int
    value: Any
    literal: str

    def taking(self, given: Any) -> Input:
        """The input with another value: JSON's types, or their text, as a command line and an address have it.

        Raises:
            LimpidError: a value of another kind, or out of bounds.
        """
        value = self._checked(given)
        return self._replace(value=value, literal=repr(value))

    def as_dict(self) -> dict[str, Any]:
        """For a page, in JSON's types."""
        return {
            "name": self.name, "kind": self.kind, "label": {"en": self.en, "zh": self.zh}, "low": self.low,
            "high": self.high, "least": self.least, "most": self.most, "value": self.value,
        }  # fmt: skip

    def _checked(self, given: Any) -> Any:
        if self.kind == "text":
            if not isinstance(given, str):
                raise self._refused("is a text")
            text = "".join(c for c in given if c == " " or c.isprintable()).strip()
            if not self.low <= len(text) <= self.high:
                raise self._refused(f"has {self.low:g} to {self.high:g} characters, not {len(text)}")
            return text
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                raise self._refused(f"is {self._noun()}, not {given[:60]!r}") from None
        if self.kind in ("number", "integer"):
            return self._number(given)
        if not isinstance(given, list):
            raise self._refused(f"is {self._noun()}")
        if not self.least <= len(given) <= self.most:
            what = "rows" if self.kind == "matrix" else "numbers"
            count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise self._refused(f"has {count} {what}, not {len(given)}")
        if self.kind == "numbers":
            return [self._number(one) for one in given]
        width = len(self.value[0])
        if not all(isinstance(row, list) and len(row) == width for row in given):
            raise self._refused(f"has rows of {width} numbers")
        return [[self._number(one) for one in row] for row in given]

    def _number(self, given: Any) -> float | int:
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise self._refused(f"is {self._noun()}")
        if not self.low <= given <= self.high:
            raise self._refused(f"lies between {self.low:g} and {self.high:g}, not at {given:g}")
        if self.kind == "integer":
            if given != int(given):
                raise self._refused("is a whole number")
            return int(given)
        return float(given)

    def _noun(self) -> str:
        return {
            "number": "a number", "integer": "a whole number", "numbers": "a list of numbers, as in [2, 1, 0.1]",
            "matrix": "a list of rows of numbers, as in [[1, 0], [0, 1]]",
        }[self.kind]  # fmt: skip

    def _refused(self, why: str) -> LimpidError:
        return LimpidError(f"'{self.name}' {why}.")


def read_input(name: str, literal: str, kind: str, en: str, zh: str) -> Input:
    """An input as a script writes it down: ``numbers(2..12 of -50..50)``, ``text(1..80)``."""
    found = _KIND.match(kind)
    assert found is not None, f"{name}: {kind}"
    value = ast.literal_eval(literal)
    count = len(value) if found["kind"] in ("numbers", "matrix") else 1
    least, most = (int(found["least"]), int(found["most"])) if found["least"] else (count, count)
    return Input(name, found["kind"], en, zh, float(found["low"]), float(found["high"]), least, most, value, literal)
