"""`limpid lesson`, as one calls it."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from rich.cells import cell_len

from limpid.cli.main import main
from limpid.lessons.book import NAMES, find
from limpid.lessons.on_terminal import folded


def call(*args: str) -> int:
    with pytest.raises(SystemExit) as done:
        main(["lesson", *args])
    return int(done.value.code or 0)


def test_it_lists_them(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert call() == 0
    said = capsys.readouterr().out
    assert all(name in said for name in NAMES)
    assert "Softmax 与温度" in said
    assert call("--json") == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(NAMES)


def test_it_runs_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("softmax", "logits=[0, 0]", "--lang", "zh") == 0
    said = capsys.readouterr().out
    assert "从分数到概率" in said
    assert "probabilities [0.5 0.5]" in said
    assert call("softmax", "--json", "temperature=1") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["values"] == {"logits": [2.0, 1.0, 0.1], "temperature": 1.0}
    assert found["steps"][0]["output"].startswith("probabilities [0.66 0.24 0.1 ]")
    assert found["steps"][1]["pictures"][0]["kind"] == "bars"


@pytest.mark.parametrize("width", [20, 41, 80])
@pytest.mark.parametrize("name", NAMES)
def test_chinese_is_broken_between_characters(name: str, width: int) -> None:
    for step in find(name).steps:
        for paragraph in step.prose.zh.split("\n\n"):
            lines = folded(paragraph, width).split("\\\n")
            assert "".join(lines).replace(" ", "") == "".join(paragraph.split())
            assert all(line == line.strip() and line[0] not in "，。、：；！？）”》" for line in lines if line)
            for line, after in pairwise(lines):
                first = re.match(r"[（“《]*(?:`[^`]*`|\*[^*]+\*|[!-~]+|.)[，。、：；！？）”》…—]*", after)
                assert first is not None
                assert line[-1] not in "（“《"
                assert cell_len(line) + cell_len(first[0]) + 1 > width  # no room was left for what follows


def test_notebook_and_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("softmax", "temperature=0.25", "--notebook", str(tmp_path / "s.ipynb")) == 0
    assert "temperature = 0.25" in nbformat.read(tmp_path / "s.ipynb", as_version=4).cells[4].source
    capsys.readouterr()
    assert call("softmax", "--code") == 0
    assert compile(capsys.readouterr().out, "softmax", "exec")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["sofmax"], "Did you mean 'softmax'?"),
        (["softmax", "3"], "'3' is no NAME=VALUE."),
        (["softmax", "temperature=hot"], "'temperature' is a number, not 'hot'."),
        (["softmax", "--lang", "fr"], "--lang fr"),
        (["--code"], "Which lesson?"),
    ],
)
def test_mistakes_are_one_line(args: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*args) == 1
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
