"""The command that this process was started with, so that a run can say how it was begun and be gone on with."""

from __future__ import annotations

from collections.abc import Sequence

_given: list[str] = []


def remember(arguments: Sequence[str]) -> None:
    """What stands after ``limpid``; called by the command line alone."""
    _given[:] = arguments


def given() -> list[str]:
    """Empty where limpid is used as a library."""
    return list(_given)
