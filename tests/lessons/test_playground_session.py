"""What a page asks and is told, and that nothing it says can end the process."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.core.errors import LimpidError
from limpid.lessons.pace import IN_FLIGHT, Pace
from limpid.lessons.perceptron.session import PerceptronSession
from limpid.lessons.playground.session import PlaygroundSession
from limpid.lessons.worker import packed, serve


class Page:
    """A session, and what it has said."""

    def __init__(self, session: Any = None) -> None:
        self.session = session or PlaygroundSession()
        self.told: list[dict[str, Any]] = []
        self.pictures: list[bytes] = []

    def take(self, message: dict[str, Any] | bytes) -> None:
        if isinstance(message, bytes):
            self.pictures.append(message)
        else:
            self.told.append(message)

    def say(self, **message: Any) -> None:
        self.session.receive(message, self.take)

    def look(self) -> bytes:
        """The next picture, drawn."""
        before = len(self.pictures)
        for _ in range(200):
            wait = self.session.work(time.monotonic(), self.take)
            if len(self.pictures) > before:
                self.say(do="drawn", number=struct.unpack("<I", self.pictures[-1][4:8])[0])
                return self.pictures[-1]
            time.sleep(wait or 0.001)
        raise AssertionError("no picture came")

    @property
    def state(self) -> dict[str, Any]:
        return next(message for message in reversed(self.told) if "settings" in message)


def test_a_picture_holds_the_numbers_of_the_net() -> None:
    page = Page()
    page.say(do="open", address="dataset=xor&seed=7")
    page.look()
    page.say(do="step")
    raw = page.look()
    head = struct.unpack("<10I2f", raw[:48])
    playground = page.session.playground
    assert head[0] == 1
    assert head[3:10] == (1, 0, 1, len(playground.net.parameters), 7, 25, 100)
    rows = np.frombuffer(raw, "<f4", 3, 48)
    assert rows == pytest.approx(playground.history[-1])
    at = 48 + 12
    numbers = np.frombuffer(raw, "<f4", head[6], at)
    np.testing.assert_allclose(numbers, playground.net.parameters, rtol=1e-6)
    at += 4 * head[6]
    large = np.frombuffer(raw, "<f2", 10_000, at).reshape(100, 100)
    np.testing.assert_allclose(large, playground.maps()[-1][0], atol=1e-3)
    small = np.frombuffer(raw, "u1", -1, at + 20_000).reshape(7, 25, 25)
    np.testing.assert_allclose(small[-1] / 127.5 - 1, np.clip(large[2::4, 2::4], -1, 1), atol=0.006)
    page.say(do="look", layer=-1, neuron=5)
    raw = page.look()
    large = np.frombuffer(raw, "<f2", 10_000, at - 12 + 12).reshape(100, 100)
    np.testing.assert_allclose(large[0], np.sin(np.linspace(-6, 6, 100)), atol=1e-3)


def test_a_page_that_draws_nothing_stops_the_training() -> None:
    page = Page()
    page.say(do="open", address="speed=0")
    page.say(do="run")
    for _ in range(30):
        if page.session.work(time.monotonic(), page.take) is None:
            break
        time.sleep(0.02)
    epoch = page.session.playground.epoch
    assert len(page.pictures) == IN_FLIGHT
    assert epoch > 0
    assert page.session.work(time.monotonic(), page.take) is None
    assert page.session.playground.epoch == epoch
    page.say(do="drawn", number=2)
    page.look()
    assert page.session.playground.epoch > epoch


def test_the_pace_is_kept() -> None:
    pace = Pace()
    steps = []
    pace.start()
    began = pace._last_work
    for n in range(1, 61):
        pace.train(began + n / 60, 100, lambda: not steps.append(1))
    assert abs(len(steps) - 100) <= 2
    pace.train(began + 3600, 100, lambda: not steps.append(1))
    assert len(steps) <= 130  # a long pause is not made up for


def test_an_explosion_is_told_and_the_run_paused() -> None:
    page = Page()
    page.say(do="open", address="problem=regression&activation=linear&learningRate=10")
    page.say(do="run")
    while not any(message.get("exploded") is True for message in page.told):
        page.look()
    assert page.state["running"] is False
    assert page.state["exploded"] == 1
    with pytest.raises(LimpidError, match="have exploded in epoch 1"):
        page.say(do="run")
    page.say(do="change", changes={"learning_rate": 0.01})
    page.say(do="reset")
    assert page.state["exploded"] is None
    page.say(do="step")
    assert page.state["epoch"] == 1


def test_own_points_and_what_is_wrong_with_them() -> None:
    page = Page()
    page.say(do="open", address="")
    with pytest.raises(LimpidError, match=r"CSV, line 2, column 2: 'b' is no number"):
        page.say(do="csv", text="1,2,1\n1,b,1\n")
    page.say(do="csv", text="1,2,yes\n-1,0,no\n3,3,yes\n", fit=False)
    assert {"said": "3 points. 'no' is -1, 'yes' is +1."} in page.told
    assert page.state["settings"]["dataset"] == "own"
    assert "points=" in page.state["address"]
    page.say(do="points", rows=[[0, 0, 1], [1, 1, -1], [2, 2, 1], [3, 3, 1]])
    assert sorted(page.told[-2]["points"]) == [[0, 0, 1], [1, 1, -1], [2, 2, 1], [3, 3, 1]]
    page.say(do="open", address=page.state["address"])
    assert page.told[-3]["faults"] == []
    assert page.session.playground.own is not None
    assert "START" in (page.say(do="program", kind="torch") or page.told[-1])["program"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["inputs", "layers", "activations", "hidden", "noise", "seed", "problem", "batch_size", "init_zero", "dropout"]


@given(
    st.sampled_from(["open", "change", "edit", "csv", "points", "look", "drawn", "program", "noise", "run", "zz"]),
    st.dictionaries(
        st.sampled_from(["address", "changes", "layer", "neuron", "source", "value", "text", "rows", "number", "part"]),
        ANY,
    ),
    st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=2),
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_page_says_is_answered(does: str, message: dict[str, Any], changes: dict[str, Any]) -> None:
    page, other = _PAGES
    for one in (page, other):
        said = ""
        try:
            one.say(**{"changes": changes, **message, "do": does})
        except LimpidError as error:
            said = str(error)
        assert "\n" not in said
        assert len(said) < 600


_PAGES = Page(), Page(PerceptronSession())


def test_the_process_reads_and_writes_frames() -> None:
    asked = [b'{"do": "open", "address": "x=false&y=false"}', b"no json", b"[1]", b'{"do": "dance"}', b"[" * 5000]
    source = io.BytesIO(b"".join(struct.pack(">I", len(raw)) + raw for raw in asked))
    sink = io.BytesIO()
    serve(PlaygroundSession(), source, sink)
    said, raw = [], sink.getvalue()
    while raw:
        length = struct.unpack(">I", raw[1:5])[0]
        if raw[:1] == b"J":
            said.append(json.loads(raw[5 : 5 + length]))
        raw = raw[5 + length :]
    faults = [message["fault"] for message in said if "fault" in message]
    assert faults[0] == "this message is no JSON."
    assert faults[1] == "a message is a JSON object."
    assert "cannot do 'dance'" in faults[2]
    assert said[0]["faults"] == ["the net needs at least one input."]
    assert packed(b"ab") == b"B\0\0\0\x02ab"


def test_a_perceptrons_picture() -> None:
    page = Page(PerceptronSession())
    page.say(do="open")
    assert page.told[0]["best"] > 0.85
    page.say(do="run", part="habits")
    for _ in range(6):
        raw = page.look()
    page.say(do="pause", part="habits")
    kind, _, flags, epoch, side = struct.unpack("<5I", raw[:20])
    numbers = np.frombuffer(raw, "<f4", 18, 20)
    assert (kind, flags, epoch, side) == (2, 1, 0, 50)
    rule, descent = page.session._rule, page.session._descent
    assert numbers[:6] == pytest.approx(
        [rule.seen, *rule.weights, rule.threshold, page.session._people.right(rule.decision())], rel=1e-5
    )
    assert numbers[6] == descent.seen > 0
    assert len(raw) == 20 + 72 + 3 * 2500
    page.say(do="step", part="xor")
    assert struct.unpack("<5I", page.look()[:20])[3] == 1
    page.say(do="noise", value=0)
    assert page.told[-1]["best"] == 1.0
    with pytest.raises(LimpidError, match="noise is from 0 to 8"):
        page.say(do="noise", value=99)


@pytest.mark.parametrize("name", ["playground", "perceptron"])
def test_a_lessons_process_loads_neither_torch_nor_a_server(name: str) -> None:
    code = (
        f"import sys, limpid.lessons.worker, limpid.lessons.{name}.session\n"
        "print([m for m in ('torch', 'fastapi', 'pydantic', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
