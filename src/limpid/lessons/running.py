"""Running a lesson: its steps one after the other, in one room of names, and what each prints and draws."""

from __future__ import annotations

import contextlib
import io
import linecache
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from limpid.lessons import draw
from limpid.lessons.draw import Picture
from limpid.lessons.lesson import Lesson


class Outcome(NamedTuple):
    """What a step printed and drew. fault: why it ended early, where a reader's values do not go together; or ""."""

    output: str
    pictures: tuple[Picture, ...]
    fault: str


def run(lesson: Lesson, values: Mapping[str, Any] | None = None) -> Iterator[Outcome]:
    """The outcome of each step, as it is computed. Steps after one that failed are not run, and yield nothing.

    Raises:
        LimpidError: see `Lesson.given`.
    """
    chosen = lesson.given(values or {})
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, step in enumerate(chosen.steps, 1):
        printed = io.StringIO()
        fault = ""
        with draw.keeping() as pictures, contextlib.redirect_stdout(printed):
            try:
                exec(_compiled(step.code, f"<{lesson.name}, step {number}>"), names)
            except Exception as error:
                if not values:
                    raise
                fault = f"{type(error).__name__}: {error}"
        yield Outcome(printed.getvalue(), tuple(pictures), fault)
        if fault:
            return


def _compiled(code: str, name: str) -> Any:
    """With its lines where tracebacks and `inspect.getsource` look for them."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    return compile(code + "\n", name, "exec")
