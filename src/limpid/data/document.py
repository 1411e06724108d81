"""The unit that every text source yields."""

from __future__ import annotations

from typing import Literal, NamedTuple

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Document(NamedTuple):
    """One text and where it came from (a file and line, a module name): what error messages point at."""

    text: str
    source: str
