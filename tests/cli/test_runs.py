from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import random_llama

from limpid.cli.main import main
from limpid.core.paths import RunLock


def run(capfd: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["runs", *args])
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path, saved_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs: one with a checkpoint only, one finished inside a demo, one broken all over."""
    monkeypatch.setenv("LIMPID_RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    shutil.copytree(saved_run, tmp_path / "tiny")
    done = tmp_path / "demo" / "pretrain"
    done.mkdir(parents=True)
    (done / "recipe.toml").write_text("# limpid pretrain\n[train]\nsteps = 30\n")
    lines = [{"step": 10, "loss": 5.0}, {"step": 10, "validation_bits_per_byte": 2.5}]
    lines += [{"step": 20, "validation_bits_per_byte": 1.75}, {"step": 30, "validation_bits_per_byte": 1.8}]
    (done / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3')
    (done / "summary.json").write_text(json.dumps({"stage": "pretrain", "steps": 30, "parameters": 1_500_000}))
    of_stages = {
        "sst2/classify": {"test accuracy": (0.795, 0.776, 0.812), "test macro F1": (0.794, 0.775, 0.811)},
        "de/seq2seq": {"test BLEU": (37.99, 36.4, 39.5), "test BLEU, greedy": (36.28, 34.6, 37.7)},
        "demo/grpo": {f"kind {i}: right": (0.9 + i / 100, 0.8, 0.99) for i in range(5)},
        "words/skipgram": {"training nats a pair": (2.308, None, None)},
    }
    for name, measures in of_stages.items():
        stage = tmp_path / name
        stage.mkdir(parents=True)
        described = {
            key: {"value": value} | ({} if low is None else {"low": low, "high": high})
            for key, (value, low, high) in measures.items()
        }
        (stage / "summary.json").write_text(json.dumps({"stage": stage.name, "steps": 9, "measures": described}))
    rewards = [{"step": n, "loss": 0.1, "kl": 0.01, "reward": n / 10} for n in (1, 2)]
    (tmp_path / "demo" / "grpo" / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rewards))
    (tmp_path / "half").mkdir()
    steps = [{"step": 5, "loss": 3.5}, {"step": 5, "validation_nats": 2.25, "validation_bleu": 12.5}]
    (tmp_path / "half" / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in steps))
    (tmp_path / "broken").mkdir()
    for name in ("recipe.toml", "summary.json", "metrics.jsonl"):
        (tmp_path / "broken" / name).write_bytes(b"\xff{")
    (tmp_path / "not a run").mkdir()
    return tmp_path


def test_what_is_known_of_each_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with RunLock(folder / "tiny"):
        code, out, _ = run(capfd, "--json")
    assert code == 0
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert found.keys() == {
        "tiny", "demo/pretrain", "demo/grpo", "sst2/classify", "de/seq2seq", "words/skipgram", "half", "broken"
    }  # fmt: skip
    tiny, done, broken = found["tiny"], found["demo/pretrain"], found["broken"]
    assert (tiny["stage"], tiny["step"], tiny["state"]) == ("sft", 7, "running")
    assert tiny["parameters"] == sum(p.numel() for p in random_llama().parameters())
    assert (done["stage"], done["step"], done["steps"], done["state"]) == ("pretrain", 30, 30, "finished")
    assert done["validation_bits_per_byte"] == 1.75
    assert done["measures"] == {"validation bits per byte": {"value": 1.8}}
    assert (broken["measures"], tiny["measures"]) == ({}, {})
    assert (broken["stage"], broken["step"], broken["state"]) == (None, None, "interrupted")
    assert {e["name"]: e["state"] for e in json.loads(run(capfd, "--json")[1])}["tiny"] == "interrupted"


@pytest.mark.parametrize("width", ["80", "140"])
def test_the_table(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = run(capfd)
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    (at,) = (number for number, line in enumerate(lines) if line.startswith("demo/pretrain "))
    assert lines[at].split() == ["demo/pretrain", "pretrain", "30", "1.50M", "0", "s", "ago", "finished"]
    assert lines[at + 1] == "  validation bits per byte 1.800"
    for name in ("words/skipgram", "sst2/classify"):
        assert any(line.startswith(f"{name} ") for line in lines)
    assert [word in run(capfd, "demo")[1] for word in ("pretrain", "tiny")] == [True, False]


def test_each_stage_shows_its_own_measures(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capfd)
    for words in ("test accuracy 0.795", "test macro F1 0.794", "test BLEU 37.990", "test BLEU, greedy 36.280",
                  "reward 0.200", "kind 1: right 0.910", "training nats a pair 2.308", "validation nats 2.250",
                  "validation bleu 12.500"):  # fmt: skip
        assert words in out, words
    assert "kind 4" not in out
    _, alone, _ = run(capfd, "demo/grpo")
    assert "kind 4: right" in alone
    assert "0.800 to 0.990" in alone
    found = {entry["name"]: entry for entry in json.loads(run(capfd, "--json")[1])}
    assert found["de/seq2seq"]["measures"]["test BLEU"] == {"value": 37.99, "low": 36.4, "high": 39.5}
    assert next(iter(found["demo/grpo"]["measures"])) == "reward"


def test_none_there(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "There are no runs" in run(capfd, str(folder / "not a run"))[1]
    code, _, err = run(capfd, "tinny")
    assert code == 1
    assert "Did you mean 'tiny'?" in err


def test_a_line_of_stages_with_its_report_is_finished(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "demo" / "recipe.toml").write_text("# limpid demo\n", encoding="utf-8")
    states = []
    for _ in range(2):
        _, out, _ = run(capfd, "--json")
        states.append({entry["name"]: entry["state"] for entry in json.loads(out)}["demo"])
        (folder / "demo" / "report.json").write_text("{}", encoding="utf-8")
    assert states == ["interrupted", "finished"]
