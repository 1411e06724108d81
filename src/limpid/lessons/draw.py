"""Pictures in a lesson's code: values and their names, drawn by whoever shows the lesson.

    from limpid.lessons import draw

    draw.bars(["cat", "dog"], [0.9, 0.1])

Where a lesson is being run for a page, a document or the terminal, the picture goes there; in a notebook it is shown
below the cell; in a plain program it is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Picture(NamedTuple):
    """kind: bars, matrix or curves.

    rows: of a matrix, its values; of bars and curves one row a series. names: of the rows. columns: names of the
    columns; of curves, the numbers on the x axis. title: what it shows, "" where the step says it.
    """

    kind: str
    rows: list[list[float]]
    names: list[str]
    columns: list[Any]
    title: str

    def _repr_svg_(self) -> str:
        """How a notebook shows it."""
        from limpid.lessons.svg import svg

        return svg(self)


_kept: ContextVar[list[Picture] | None] = ContextVar("pictures of the step that runs", default=None)


@contextmanager
def keeping() -> Iterator[list[Picture]]:
    """The pictures that are drawn within."""
    pictures: list[Picture] = []
    token = _kept.set(pictures)
    try:
        yield pictures
    finally:
        _kept.reset(token)


def bars(names: Sequence[Any], values: Any, title: str = "") -> None:
    """One bar a name; ``values`` (N,)."""
    _show(Picture("bars", [_floats(values)], [""], [str(name) for name in names], title))


def matrix(values: Any, rows: Sequence[Any] = (), columns: Sequence[Any] = (), title: str = "") -> None:
    """A matrix (R, C), a cell a value."""
    table = [_floats(row) for row in values]
    _show(Picture("matrix", table, [str(name) for name in rows], [str(name) for name in columns], title))


def curves(x: Any, series: dict[str, Any], title: str = "") -> None:
    """Lines over ``x`` (N,): their names, and values (N,) each."""
    _show(Picture("curves", [_floats(one) for one in series.values()], list(series), _floats(x), title))


def _floats(values: Any) -> list[float]:
    return [float(one) for one in values]


def _show(picture: Picture) -> None:
    if (kept := _kept.get()) is not None:
        kept.append(picture)
        return
    try:
        from IPython import get_ipython
    except ImportError:
        pass
    else:
        if get_ipython() is not None:
            from IPython.display import display

            display(picture)
            return
    from limpid.lessons.on_terminal import print_picture

    print_picture(picture)
