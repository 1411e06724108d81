"""A page's lesson: what is asked of its process, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from limpid.core.errors import LimpidError
from limpid.lessons.book import find
from limpid.lessons.running import run
from limpid.lessons.session import LessonSession


def asked(session: LessonSession, message: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[Any] = []
    session.receive(message, sent.append)
    assert session.work(0.0, sent.append) is None
    return sent


def test_steps_come_one_by_one() -> None:
    values = {"logits": "[3, 1]", "temperature": 2}
    first, *steps, over = asked(LessonSession("softmax"), {"run": 7, "values": values})
    assert "logits = [3.0, 1.0]" in first["steps"][0]["code"]
    assert first["steps"][1]["inputs"][0]["value"] == 2.0
    wanted = list(run(find("softmax"), values))
    assert [step["output"] for step in steps] == [one.output for one in wanted]
    assert [step["step"] for step in steps] == [0, 1, 2]
    assert steps[1]["pictures"][0]["rows"] == wanted[1].pictures[0].rows
    assert over == {"run": 7, "over": True}


def test_a_mask_has_no_infinity_in_json() -> None:
    sent = asked(LessonSession("masks"), {"run": 1, "values": {}})
    mask = sent[2]["pictures"][0]["rows"]
    assert mask[0] == [0.0, None, None, None, None]


def test_a_large_matrix_is_pixels() -> None:
    large = asked(LessonSession("positions"), {"run": 1, "values": {"length": 300}})[2]["pictures"][0]
    assert len(large["rows"]) == 300
    assert large["svg"] == ""


@pytest.mark.parametrize(
    "message", [{}, {"run": 1}, {"values": {}}, {"run": "1", "values": {}}, {"run": 1, "values": []}]
)
def test_messages_that_are_none_are_refused(message: dict[str, Any]) -> None:
    session = LessonSession("softmax")
    with pytest.raises(LimpidError):
        session.receive(message, lambda _: None)
    assert session.work(0.0, lambda _: pytest.fail("nothing was asked")) is None


def test_values_that_do_not_go_together_are_told() -> None:
    """The step that fails says why; those after it are not run."""
    *_, last, over = asked(LessonSession("two-files"), {"run": 1, "values": {}})
    assert last["fault"] == ""
    lesson = find("positions")
    broken = lesson._replace(steps=(lesson.steps[0]._replace(code="1 / 0"), *lesson.steps[1:]))
    (outcome,) = run(broken, {"k": 3})
    assert outcome.fault == "ZeroDivisionError: division by zero"
    with pytest.raises(ZeroDivisionError):
        list(run(broken))
    assert over["over"]
