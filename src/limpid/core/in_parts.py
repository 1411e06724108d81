"""Long work that stops between its parts, so that whoever runs it can do something else meanwhile."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

InParts = Generator[None, None, T]
"""A generator that yields nothing between its parts and returns what came of them."""


def finish(parts: InParts[T]) -> T:
    """What the work returns, all of its parts done one after the other."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            found: T = end.value
            return found
