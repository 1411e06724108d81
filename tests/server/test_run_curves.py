"""Columns of metrics that are being written, and lines thin enough to be drawn."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from limpid.server import run_curves
from limpid.server.run_curves import HELD_OUT, MetricsFile, Window
from limpid.server.run_shelf import MetricsShelf, Reading
from limpid.server.thinning import reach, smoothed, thinned


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


def plainly(path: Path, name: str) -> tuple[list[int], list[float]]:
    """The obvious twin of the reader: every line, one after the other."""
    records = [json.loads(text) for text in path.read_text().splitlines()]
    found = [(record["step"], record[name]) for record in records if name in record]
    return [step for step, _ in found], [value for _, value in found]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 steps with noise and a few spikes, held-out lines between them."""
    path = tmp_path_factory.mktemp("long") / "metrics.jsonl"
    draw = np.random.default_rng(3)
    with path.open("w") as file:
        for step in range(1, 20_001):
            spike = {4_321: 50.0, 15_000: -40.0}.get(step, 0.0)
            loss = 2 + 5 / step + float(draw.normal()) / 10 + spike
            file.write(line(step, loss=loss, grad_norm=float(draw.random()), tokens=10, seconds=0.5))
            if step % 500 == 0:
                file.write(line(step, validation_nats=2 - step / 1e5))
    return path


@pytest.mark.parametrize("window", [Window(most=120), Window(most=120, low=4_000, high=4_700)])
def test_what_is_drawn_holds_the_extremes_of_a_plain_reading(long: Path, window: Window) -> None:
    file = MetricsFile(long)
    file.read()
    told = file.lines(["loss"], window, None)["loss"]
    steps, values = (np.array(part) for part in plainly(long, "loss"))
    inside = (steps >= (window.low or 0)) & (steps <= (window.high or 10**9))
    steps, values = steps[inside], values[inside]
    assert len(told["x"]) <= 120
    at = dict(zip(steps.tolist(), values.tolist(), strict=True))
    assert all(at[int(x)] == pytest.approx(y, rel=1e-7) for x, y in zip(told["x"], told["y"], strict=True))
    cuts = np.linspace(steps[0], steps[-1], 30 + 1)  # most / 4 stretches, each with its lowest and highest
    for low, high in itertools.pairwise(cuts):
        own = values[(steps >= low) & (steps < high)]
        drawn = [y for x, y in zip(told["x"], told["y"], strict=True) if low <= x < high]
        assert max(drawn) == pytest.approx(own.max(), rel=1e-7)
        assert min(drawn) == pytest.approx(own.min(), rel=1e-7)
    assert max(told["y"]) > 50  # the spike among twenty thousand steps


def test_looking_closer_shows_every_step(long: Path) -> None:
    file = MetricsFile(long)
    file.read()
    told = file.lines(["loss"], Window(most=120, low=15_000, high=15_100, smooth=0.9), None)["loss"]
    steps, values = plainly(long, "loss")
    assert told["x"] == list(range(15_000, 15_101))
    np.testing.assert_allclose(told["y"], values[14_999:15_100], rtol=1e-7)
    mean, whole = 0.0, []
    for n, value in enumerate(values[:15_100], start=1):
        mean = 0.9 * mean + 0.1 * value
        whole.append(mean / (1 - 0.9**n))
    np.testing.assert_allclose(told["smooth"]["y"], whole[14_999:], rtol=1e-6)
    assert steps[14_999] == 15_000


def test_a_long_file_is_read_in_parts_and_says_how_far(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_curves, "_PART", 100_000)
    shelf, shares = MetricsShelf(), []
    while True:
        reading = Reading(200_000)
        told = shelf.about(long, reading)
        assert told is not None
        if reading.progress is None:
            break
        shares.append(reading.progress["done"] / reading.progress["total"])
        assert reading.progress["total"] == long.stat().st_size
    assert len(shares) >= 5
    assert shares == sorted(set(shares))  # it gets on with every request
    assert told.digest.step == 20_000
    assert told.names == ["loss", "grad_norm", HELD_OUT + "validation_nats"]
    file = shelf.read(long, Reading(0))
    assert file is not None
    whole = MetricsFile(long)
    whole.read()
    for name in told.names:
        assert file.lines([name], Window(), None) == whole.lines([name], Window(), None)


def test_of_files_that_did_not_change_what_they_come_to_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for number, path in enumerate(paths):
        path.write_text("".join(line(i, loss=float(number), tokens=1, seconds=1.0) for i in range(1, 200)))
    shelf = MetricsShelf(most=10_000)  # room for the columns of one of them
    first = [shelf.about(path, Reading()) for path in paths]
    assert len(shelf._kept) == 1
    monkeypatch.setattr(MetricsFile, "read", lambda *_: pytest.fail("it was read again"))
    assert [shelf.about(path, Reading()) for path in paths] == first
    monkeypatch.undo()
    with paths[0].open("a") as more:
        more.write(line(200, loss=9.0))
    told = shelf.about(paths[0], Reading())
    assert told is not None
    assert (told.digest.step, told.digest.newest["loss"]) == (200, 9.0)


@pytest.mark.parametrize("weight", [0.0, 0.6, 0.99])
def test_smoothing_of_a_long_line_is_its_recursion(weight: float) -> None:
    values = np.random.default_rng(0).normal(3, 1, 5_000)
    mean, wanted = 0.0, []
    for n, value in enumerate(values, start=1):
        mean = weight * mean + (1 - weight) * value
        wanted.append(mean / (1 - weight**n))
    np.testing.assert_allclose(smoothed(values, weight), wanted, rtol=1e-10)
    start = 1_000
    part = smoothed(values[start:], weight, before=start)[reach(weight) :]
    np.testing.assert_allclose(part, wanted[start + reach(weight) :], rtol=1e-10)


def test_smoothing_is_the_mean_with_weights_that_fall_evenly() -> None:
    values = np.array([4.0, 1.0, 7.0, 3.0])
    weights = [0.8 ** np.arange(n, -1, -1) for n in range(4)]
    wanted = [np.average(values[: n + 1], weights=weights[n]) for n in range(4)]
    assert np.allclose(smoothed(values, 0.8), wanted)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    assert MetricsShelf().read(tmp_path / "metrics.jsonl", Reading()) is None
    assert MetricsShelf().about(tmp_path / "metrics.jsonl", Reading()) is None


def test_no_revision_stands_for_two_readings(tmp_path: Path) -> None:
    """A page that has drawn one is sent nothing while it lasts; columns that were let go of are read anew."""
    shelf, (first, second) = MetricsShelf(most=0), (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    first.write_text(training(1))
    second.write_text(training(1))
    known = set()
    for step in (2, 3, 4):
        file = shelf.read(first, Reading())
        assert file is not None
        assert file.revision not in known
        known.add(file.revision)
        shelf.read(second, Reading())
        with first.open("a") as more:
            more.write(training(step))


def test_a_digest_waits_for_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(training(1))
    file = MetricsFile(path)
    file.read()

    class Watched:
        steps = file._training.steps

        def __len__(self) -> int:
            assert file._lock.locked()
            return 1

    file._training = cast(Any, Watched())
    assert file.digest.step == 1
