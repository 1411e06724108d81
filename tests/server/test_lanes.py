"""Short work goes before long work and between its parts; told by order, whatever the clock does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.server.conftest import Served

from limpid.core.in_parts import InParts
from limpid.inspection.head_scores import HeadScores
from limpid.inspection.trace import Trace
from limpid.server.errors import ApiError
from limpid.server.lanes import PATIENCE, Lanes


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test", waiting=40)
    yield made
    made.close()


class Notes(list[str]):
    """What was done, in order. Its first work waits until all else has been asked for."""

    def __init__(self, lanes: Lanes) -> None:
        super().__init__()
        self.gate = threading.Event()
        lanes.submit(self.gate.wait, 30)

    def short(self, name: str) -> str:
        self.append(name)
        return name

    def long(self, name: str, count: int) -> InParts[str]:
        for part in range(count):
            self.append(f"{name}{part}")
            yield
        return f"{name} done"


def test_short_work_goes_before_long_work(lanes: Lanes) -> None:
    notes = Notes(lanes)
    long = lanes.submit_long(notes.long("L", 2))
    shorts = [lanes.submit(notes.short, name) for name in "ab"]
    notes.gate.set()
    assert long.result(30) == "L done"
    assert [short.result(30) for short in shorts] == ["a", "b"]
    assert notes == ["a", "b", "L0", "L1"]


def test_short_work_goes_between_the_parts_of_long_work(lanes: Lanes) -> None:
    notes = Notes(lanes)

    def parts() -> InParts[str]:
        notes.append("L0")
        lanes.submit(notes.short, "a")  # comes while the first part is computed
        lanes.submit(notes.short, "b")
        yield
        notes.append("L1")
        yield
        return "done"

    first, second = lanes.submit_long(parts()), lanes.submit_long(notes.long("M", 2))
    notes.gate.set()
    assert (first.result(30), second.result(30)) == ("done", "M done")
    assert notes == ["L0", "a", "b", "L1", "M0", "M1"]


def test_long_work_gets_on_however_much_short_work_comes(lanes: Lanes) -> None:
    notes = Notes(lanes)
    long = lanes.submit_long(notes.long("L", 2))
    shorts = [lanes.submit(notes.short, "s") for _ in range(3 * PATIENCE)]
    notes.gate.set()
    assert long.result(30) == "L done"
    assert all(short.result(30) == "s" for short in shorts)
    first = notes.index("L0")
    assert first <= PATIENCE
    assert notes[first + 1 :].index("L1") == PATIENCE


def test_no_more_waits_than_may(lanes: Lanes) -> None:
    notes = Notes(lanes)
    with pytest.raises(ApiError, match="are waiting already") as refused:
        for _ in range(50):
            lanes.submit(notes.short, "s")
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    with pytest.raises(ApiError, match="are waiting already"):
        lanes.submit_long(notes.long("L", 1))
    notes.gate.set()
    last = None
    while last is None:
        try:
            last = lanes.submit(notes.short, "last")
        except ApiError:  # until there is room again
            continue
    assert last.result(30) == "last"


def test_what_is_given_up_is_not_computed(lanes: Lanes) -> None:
    notes = Notes(lanes)
    closed = []

    def parts() -> InParts[None]:
        try:
            notes.append("L0")
            assert long.cancel()  # as when its client hangs up
            yield
            notes.append("L1")
        finally:
            closed.append(True)

    long = lanes.submit_long(parts())
    gone = lanes.submit(notes.short, "gone")
    assert gone.cancel()
    after = lanes.submit_long(notes.long("M", 1))
    notes.gate.set()
    assert after.result(30) == "M done"
    assert notes == ["L0", "M0"]
    assert closed == [True]


def test_faults_are_told_and_the_next_work_is_done(lanes: Lanes) -> None:
    def fails() -> None:
        raise ValueError("short")

    def fails_later() -> InParts[None]:
        yield
        raise ValueError("long")

    with pytest.raises(ValueError, match="short"):
        lanes.submit(fails).result(30)
    with pytest.raises(ValueError, match="long"):
        lanes.submit_long(fails_later()).result(30)
    assert lanes.submit(lambda: 7).result(30) == 7


def test_closing_gives_up_what_waits() -> None:
    lanes = Lanes("test")
    notes = Notes(lanes)
    short, long = lanes.submit(notes.short, "s"), lanes.submit_long(notes.long("L", 3))
    lanes.close()
    notes.gate.set()
    assert short.cancelled()
    assert long.cancelled()
    assert notes == []


def test_a_head_is_sent_while_heads_are_scored(
    server: Served, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP: the scores stand between two of their parts until a head, asked for after them, has been answered."""
    between, answered = threading.Event(), threading.Event()
    from limpid.server import looking

    real: Callable[[Trace], InParts[HeadScores]] = looking.head_scores_by_layer

    def held(trace: Trace) -> InParts[HeadScores]:
        parts = real(trace)
        next(parts)
        yield
        between.set()
        while not answered.is_set():  # gives the thread away again and again, as many layers would
            yield
        return (yield from parts)

    monkeypatch.setattr(looking, "head_scores_by_layer", held)
    told = http.post("/api/trace", json={"text": "the cat sat on the mat"}).json()
    found: list[httpx.Response] = []

    def ask() -> None:
        with server.http() as other:
            found.append(other.get(f"/api/trace/{told['id']}/scores"))

    asking = threading.Thread(target=ask)
    asking.start()
    assert between.wait(30)
    assert http.get(f"/api/trace/{told['id']}/head/0/0").status_code == 200
    assert found == []
    answered.set()
    asking.join(30)
    assert found[0].status_code == 200
    assert set(found[0].json()) >= {"previous", "first", "duplicate", "induction"}
