"""Columns of metrics that are being written, and lines thin enough to be drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.server import run_curves
from limpid.server.run_curves import HELD_OUT, MetricsFile, MetricsShelf, Window, smoothed, thinned


def line(step: int, **values: Any) -> str:
    return json.dumps({"step": step, **values}) + "\n"


def training(step: int) -> str:
    return line(step, loss=3 / step, tokens=10, seconds=0.5)


@pytest.fixture(params=["line by line", "as a table"])
def write(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    if request.param == "as a table":
        monkeypatch.setattr(run_curves, "_LARGE", 1)
    path = tmp_path / "metrics.jsonl"

    def put(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    return put


def test_what_is_added_is_read_and_nothing_else(write: Callable[[str], Path]) -> None:
    path = write(training(1) + training(2) + '{"step": 3, "lo')
    file = MetricsFile(path)
    file.read()
    assert file.lines(["loss"], Window(), None)["loss"] == {"x": [1, 2], "y": [3, 1.5]}
    first = file.revision
    file.read()
    assert file.revision == first  # nothing new
    with path.open("a") as more:
        more.write('ss": 1.25, "tokens": 10, "seconds": 0.5}\n' + line(3, validation_nats=1.5))
    file.read()
    assert file.lines(["loss"], Window(), None)["loss"]["y"] == [3, 1.5, 1.25]
    assert file.lines([HELD_OUT + "validation_nats"], Window(), None)[HELD_OUT + "validation_nats"]["x"] == [3]
    assert file.revision > first
    assert file.digest.step == 3
    assert file.digest.newest["validation_nats"] == 1.5


def test_a_resumed_run_drops_lines_and_so_do_the_columns(write: Callable[[str], Path]) -> None:
    file = MetricsFile(write("".join(training(i) for i in range(1, 9))))
    file.read()
    before = file.revision
    write("".join(training(i) for i in range(1, 4)) + line(4, loss=9.0, tokens=10, seconds=0.5))
    file.read()
    assert file.lines(["loss"], Window(), None)["loss"] == {"x": [1, 2, 3, 4], "y": [3, 1.5, 1, 9]}
    assert file.revision > before
    write("".join(line(i, loss=7.0, tokens=10, seconds=0.5) for i in range(1, 9)))  # as long as at first, and other
    file.read()
    assert set(file.lines(["loss"], Window(), None)["loss"]["y"]) == {7}


def test_damaged_lines_hide_no_others(write: Callable[[str], Path]) -> None:
    file = MetricsFile(
        write(
            training(1) + "no JSON\n[1]\n" + line(2, loss=float("nan")) + '{"loss": 1}\n{"step": "x"}\n' + training(3)
        )
    )
    file.read()
    assert file.lines(["loss"], Window(), None)["loss"]["x"] == [1, 3]
    assert file.damaged == 4


def test_other_axes(write: Callable[[str], Path]) -> None:
    file = MetricsFile(write(training(1) + training(2) + line(2, validation_nats=1.0) + training(3)))
    file.read()
    held = HELD_OUT + "validation_nats"
    assert file.lines(["loss"], Window("tokens"), None)["loss"]["x"] == [10, 20, 30]
    assert file.lines([held], Window("seconds"), None)[held]["x"] == [1]
    assert file.lines(["loss"], Window("flops"), 6.0)["loss"]["x"] == [60, 120, 180]
    assert file.lines(["loss"], Window(low=2, high=2), None)["loss"]["x"] == [2]


def test_thinning_keeps_every_spike() -> None:
    draw = np.random.default_rng(1)
    x = np.arange(1.0, 100_001)
    y = draw.normal(size=len(x))
    y[[17, 5_003, 77_777]] = [50, -50, 60]
    for log in (False, True):
        kept = thinned(x, y, 400, log=log)
        assert len(kept) <= 400
        assert {17, 5_003, 77_777, 0, len(x) - 1} <= set(kept.tolist())
        assert np.all(np.diff(kept) > 0)
    stretches = np.array_split(y, 100)  # each of the hundred has its own extremes among what is kept
    parts = np.array_split(np.isin(np.arange(len(x)), thinned(x, y, 400)), 100)
    same = sum(part[there].max() == part.max() for part, there in zip(stretches, parts, strict=True))
    assert same >= 97  # the cuts fall a point apart
    assert np.array_equal(thinned(x[:9], y[:9], 400), np.arange(9))


def test_smoothing_is_the_mean_with_weights_that_fall_evenly() -> None:
    values = np.array([4.0, 1.0, 7.0, 3.0])
    weights = [0.8 ** np.arange(n, -1, -1) for n in range(4)]
    wanted = [np.average(values[: n + 1], weights=weights[n]) for n in range(4)]
    assert np.allclose(smoothed(values, 0.8), wanted)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    assert MetricsShelf().read(tmp_path / "metrics.jsonl") is None


def test_no_revision_stands_for_two_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has drawn one is sent nothing while it lasts; columns that were let go of are read anew."""
    monkeypatch.setattr(run_curves, "FILES", 1)
    shelf, (first, second) = MetricsShelf(), (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    first.write_text(training(1))
    second.write_text(training(1))
    known = set()
    for step in (2, 3, 4):
        file = shelf.read(first)
        assert file is not None
        assert file.revision not in known
        known.add(file.revision)
        shelf.read(second)
        with first.open("a") as more:
            more.write(training(step))


def test_a_digest_waits_for_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(training(1))
    file = MetricsFile(path)
    file.read()

    class Watched(dict[str, Any]):
        def values(self) -> Any:
            assert file._lock.locked()
            return super().values()

    file._columns = Watched(file._columns)
    assert file.digest.step == 1
