"""A lesson that a page shows: run anew whenever its reader changes a value."""

from __future__ import annotations

from typing import Any

from limpid.core.errors import LimpidError
from limpid.lessons.book import find
from limpid.lessons.draw import Picture
from limpid.lessons.lesson import Lesson
from limpid.lessons.running import Outcome, run
from limpid.lessons.svg import svg
from limpid.lessons.worker import Send

MOST_MARKS = 1200
"""A drawing of so many marks is a file that other programs still open with ease."""


class LessonSession:
    """In: {"run": n, "values": {NAME: VALUE}}.

    Out: the lesson as {"run": n, "steps": [...]} with the code as it runs, then {"run": n, "step": i, "output",
    "pictures", "fault"} for each step, then {"run": n, "over": true}.
    """

    def __init__(self, name: str) -> None:
        self.lesson = find(name)
        self.asked: dict[str, Any] | None = None

    def receive(self, message: dict[str, Any], send: Send) -> None:
        """Raises LimpidError: a value that the lesson does not take."""
        values, number = message.get("values"), message.get("run")
        if not isinstance(values, dict) or not isinstance(number, int):
            raise LimpidError("say which run it is, and its values.")
        given = self.lesson.given(values)
        send({"run": number, "steps": [_step(given, i) for i in range(len(given.steps))]})
        self.asked = message

    def work(self, now: float, send: Send) -> float | None:
        """Runs what was asked for last."""
        if self.asked is None:
            return None
        number, values, self.asked = self.asked["run"], self.asked["values"], None
        for index, outcome in enumerate(run(self.lesson, values)):
            send({"run": number, "step": index, **told(outcome)})
        send({"run": number, "over": True})
        return None


def _step(lesson: Lesson, index: int) -> dict[str, Any]:
    step = lesson.steps[index]
    return {"code": step.code, "inputs": [one.as_dict() for one in step.inputs]}


def told(outcome: Outcome) -> dict[str, Any]:
    """An outcome in JSON's types; what is no finite number is null."""
    return {"output": outcome.output, "pictures": [_picture(one) for one in outcome.pictures], "fault": outcome.fault}


def _picture(picture: Picture) -> dict[str, Any]:
    """svg: the picture as a file, "" where it has so many cells that pixels do better."""
    drawn = svg(picture) if len(picture.rows) * len(picture.rows[0]) <= MOST_MARKS else ""
    return picture._asdict() | {"rows": [_finite(row) for row in picture.rows], "svg": drawn}


def _finite(row: list[float]) -> list[float | None]:
    return [value if abs(value) < 1e300 else None for value in row]
