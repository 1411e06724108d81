"""``limpid compare`` on the command line: a table, JSON, a page, names for runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import random_llama
from tests.stages.test_training_run import ALONE

from limpid.checkpoint import store
from limpid.cli.main import main
from limpid.text.tokenizer import Tokenizer


@pytest.fixture
def two(tmp_path: Path, tokenizer: Tokenizer) -> list[str]:
    for seed, name in enumerate("ab"):
        path = store.checkpoint_path(tmp_path / name / "sft", 1)
        store.write(path, random_llama(seed=seed), tokenizer, {"stage": "sft", "step": 1}, ALONE)
    (tmp_path / "prompts.txt").write_text("Hello\nA cat?\n")
    return [str(tmp_path / "a" / "sft"), str(tmp_path / "b" / "sft")]


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *args])
    code = stopped.value.code
    assert isinstance(code, int)
    return code


def test_a_table_and_a_page(two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts, out = str(tmp_path / "prompts.txt"), tmp_path / "out"
    common = ["--prompts", prompts, "--out", str(out), "--max-tokens", "5", "--dtype", "float32"]
    assert run(*two, *common) == 0
    shown = capsys.readouterr().out
    assert "a/sft" in shown
    assert "b/sft" in shown
    assert "compare.html" in shown
    assert "<title>limpid: models compared</title>" in (out / "compare.html").read_text()
    assert run(f"before={two[0]}", f"after={two[1]}", "--json", *common) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["runs"]] == ["before", "after"]
    assert found == json.loads((out / "compare.json").read_text())
    assert run(two[0], two[0], *common) == 1
    assert "the same" in capsys.readouterr().err
    assert run(two[0], *common) == 1
    assert "two runs or more" in capsys.readouterr().err
