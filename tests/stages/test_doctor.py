"""``limpid doctor`` finds nothing wrong here, and says what is where something is."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable

import pytest

from limpid.cli.main import main
from limpid.inference.native.library import Unsupported
from limpid.stages.doctor import CHECKS, Finding, examination, examine, installation, machine, trial


def run(check: Callable[[], object]) -> list[tuple[str, ...]]:
    return list(check())  # type: ignore[call-overload]


def test_nothing_keeps_limpid_from_working_here() -> None:
    found = list(examine())
    assert [finding for finding in found if finding.state == "bad"] == []
    silent = {"variables", "memory"}  # where there is nothing to say
    assert {finding.subject for finding in found} >= CHECKS.keys() - silent


def test_packages_that_lack_or_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.3.1+cpu" if name == "torch" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    ((state, what, advice),) = run(installation.packages)
    assert state == "bad"
    assert "numpy is not installed" in what
    assert "torch 2.3.1+cpu is older than 2.11" in what
    assert "pip install" in advice


def test_every_requirement_is_read() -> None:
    """Judged by the packaging library, which pip itself uses."""
    packaging = pytest.importorskip("packaging.requirements")
    told = list(installation.requirements())
    lines = importlib.metadata.requires("limpid")
    assert lines is not None
    assert len(told) == len(lines)
    for (name, least, extra), line in zip(told, lines, strict=True):
        requirement = packaging.Requirement(line)
        assert name == requirement.name
        assert f">={least}" == str(requirement.specifier)
        assert (f'extra == "{extra}"' if extra else "") == str(requirement.marker or "")


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_RUN_DIR", "x")
    monkeypatch.setenv("LIMPID_NATIVE", "0")
    monkeypatch.setenv("LIMPID_DATA_DIR", "/nowhere/at/all")
    told = {
        what.partition(" ")[0].partition("=")[0].rstrip(":"): (state, what)
        for state, what, *_ in run(installation.variables)
    }
    assert told["LIMPID_RUN_DIR"][0] == "note"
    assert "LIMPID_RUNS_DIR" in told["LIMPID_RUN_DIR"][1]
    assert told["LIMPID_NATIVE"][0] == "note"
    assert told["LIMPID_DATA_DIR"][0] == "bad"


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    full = tmp_path / "file"
    full.write_text("no folder")
    monkeypatch.setenv("LIMPID_RUNS_DIR", str(tmp_path / "new" / "runs"))
    monkeypatch.setenv("LIMPID_CACHE_DIR", str(full / "cache"))
    told = {what.partition(":")[0]: state for state, what, *_ in run(installation.folders)}
    assert told["runs"] == "good"
    assert told["cache"] == "bad"
    assert not (tmp_path / "new").exists()  # looking leaves nothing behind


def test_kernels_that_are_not_there_or_compute_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise Unsupported("no C compiler is here (cc, gcc, clang)")

    monkeypatch.setattr(machine, "library", none)
    ((state, what, advice),) = run(machine.kernels)
    assert (state, advice) == ("note", "apt install gcc")
    assert "no C compiler" in what

    real = trial.Engine.logits
    monkeypatch.setattr(
        trial.Engine, "logits", lambda self, ids: real(self, ids) + isinstance(self.forward, trial.TorchForward)
    )
    assert [state for state, *_ in run(trial.answering)] == ["good", "bad"]


def test_a_check_that_fails_is_a_finding_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(examination, "CHECKS", {"python": "installation", "speed": "machine"})
    monkeypatch.setattr(machine, "speed", broken)
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--json"])
    assert left.value.code == 1
    said = capsys.readouterr()
    findings = [Finding(**found) for found in json.loads(said.out)]
    assert [finding.state for finding in findings] == ["good", "bad"]
    assert "libgomp" in findings[1].what
    assert "keep limpid from working: speed" in " ".join(said.err.split())
    with pytest.raises(SystemExit):
        main(["doctor"])
    assert "✗ OSError: libgomp.so.1" in capsys.readouterr().out
