import json

import pytest
from bench.report import Row, WorkerFailed, absent, fresh, in_turn, machine, paired, show, single


def test_a_bound_is_met_or_missed() -> None:
    assert single("seconds", "s", 590.0, at_most=600).met is True
    assert single("seconds", "s", 601.0, at_most=600).met is False
    assert single("share", "%", 90.0, at_least=90).met is True
    assert single("share", "%", None, at_least=90).met is None
    assert single("share", "%", 12.0) == Row("share", "%", 12.0)


def test_ratios_are_paired_by_round() -> None:
    row = paired("speed", "tok/s", [10.0, 20.0, 30.0], [5.0, 20.0, 10.0], "other", at_least=2)
    assert (row.ratio, row.spread, row.met) == (2.0, (1.0, 3.0), True)
    assert (row.limpid, row.rival, row.target) == (20.0, 10.0, ">= 2 x")


def test_systems_run_in_turn() -> None:
    order: list[str] = []

    def system(name: str) -> dict[str, float]:
        order.append(name)
        return {"speed": float(len(order))}

    answers = in_turn({"a": lambda: system("a"), "b": lambda: system("b")}, 3, "speed")
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [found["speed"] for found in answers["a"]] == [1.0, 4.0, 5.0]


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [paired("speed", "tok/s", [3.0], [1.0], "other", at_least=2), absent("speed", "tok/s", 3.0, "x", "not here")]
    show("title", rows, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"machine", "rows"}
    assert set(printed["rows"][0]) == set(Row._fields)
    assert printed["rows"][0]["spread"] == [3.0, 3.0]
    assert printed["machine"].keys() == machine().keys()


def test_the_table_says_what_was_met(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    show("Speed", [single("time", "s", 12345.6, at_most=600), absent("speed", "tok/s", 3.0, "x", "no")], as_json=False)
    printed = capsys.readouterr().out
    for part in ("Speed", "12,346 s", "<= 600", "missed", "rival absent: no"):
        assert part in printed


def test_a_worker_that_dies_is_quoted() -> None:
    with pytest.raises(WorkerFailed, match="No module named"):
        fresh("bench.no_such_benchmark", {})
