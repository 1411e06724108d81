"""Several runs asked the same questions: grades, win rates, forgetting; and the page that shows them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import random_llama
from tests.stages.test_training_run import ALONE

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import dumps
from limpid.evaluation.prompts import Question, read_prompts
from limpid.models.adapt import with_head
from limpid.models.task import TaskConfig
from limpid.stages.compare import Answered, Plan, _wins, compare
from limpid.stages.compare_html import render_html
from limpid.stages.curves import interval_bar
from limpid.stages.recipe import DataSection, Recipe
from limpid.text.tokenizer import Tokenizer

PROMPTS = [
    {"prompt": "What is a cat?", "answer": "An animal.", "kind": "animals"},
    {"messages": [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "2"}], "kind": "sums"},
    {"question": "Where is <b>the dog</b>?"},
]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROMPTS))
    return path


@pytest.fixture
def runs(tmp_path: Path, tokenizer: Tokenizer, corpus: Path) -> dict[str, Path]:
    made = {}
    for seed, (name, stage) in enumerate((("before", "pretrain"), ("after", "sft"))):
        run = tmp_path / name
        store.write(
            store.checkpoint_path(run, 1), random_llama(seed=seed), tokenizer, {"stage": stage, "step": 1}, ALONE
        )
        recipe = Recipe(data=DataSection(path=str(corpus)))
        (run / "recipe.toml").write_text(f"# limpid {stage}\n{dumps(recipe)}")
        made[name] = run
    return made


@pytest.fixture
def judge(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    backbone = random_llama(seed=7)
    model = with_head(backbone, TaskConfig(backbone=backbone.config, task="reward"), 0)
    store.write(store.checkpoint_path(tmp_path / "judge", 1), model, tokenizer, {"stage": "reward", "step": 1}, ALONE)
    return tmp_path / "judge"


def result(runs: dict[str, Path], **plan: Any) -> dict[str, Any]:
    *told, found = compare(runs, Plan(device="cpu", dtype="float32", max_tokens=12, text_tokens=512, **plan))
    assert all(isinstance(line, str) for line in told)
    assert isinstance(found, dict)
    return found


def test_runs_are_measured_on_the_same_questions(runs: dict[str, Path], prompts: Path, judge: Path) -> None:
    found = result(runs, prompts=prompts, judge=judge)
    assert [run["name"] for run in found["runs"]] == ["before", "after"]
    for run in found["runs"]:
        assert {"reward", "right", "admitted", "wrong", "bits per byte", "words"} == run["measures"].keys()
        assert set(run["by_kind"]) == {"animals", "sums"}
        assert run["measures"]["wrong"]["value"] == 1.0  # random weights
    first, second = (run["measures"]["bits per byte"]["value"] for run in found["runs"])
    assert found["runs"][0]["bits_per_byte_change"] == 0
    assert found["runs"][1]["bits_per_byte_change"] == pytest.approx(second / first - 1)
    (win,) = found["wins"]
    assert (win["run"], win["against"]) == ("after", "before")
    rewards = [[sample["answers"][name]["reward"] for name in ("after", "before")] for sample in found["samples"]]
    assert len(rewards) == 3
    expected = np.mean([(a > b) + 0.5 * (a == b) for a, b in rewards])
    assert win["judge"]["value"] == pytest.approx(expected)
    assert win["checked"]["value"] == 0.5  # both all wrong
    assert json.loads(json.dumps(found)) == found
    assert result(runs, prompts=prompts, judge=judge) == found


def test_without_a_judge_and_answers_there_is_still_what_was_said(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("Hello\n\nA cat?\n")
    found = result(runs, prompts=tmp_path / "lines.txt")
    assert found["questions"] == 2
    assert found["wins"][0].keys() == {"run", "against"}
    assert {"words", "bits per byte"} == found["runs"][0]["measures"].keys()
    assert "Who wins" not in render_html(found)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "path", "rect", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "rect"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_fetches_nothing_and_escapes_all(runs: dict[str, Path], prompts: Path, judge: Path) -> None:
    html = render_html(result({"<i>a</i>": runs["before"], "b": runs["after"]}, prompts=prompts, judge=judge))
    page = Page()
    page.feed(html)
    assert not page.open
    assert page.addresses == ["data:,"]
    for words in ("What is a cat?", "Where is <b>the dog</b>?", "b over <i>a</i>", "Bits per byte", "By the judge"):
        assert words in page.text


def test_wins_count_ties_half_and_their_interval_is_paired() -> None:
    def run(name: str, rewards: list[float]) -> Answered:
        return Answered(name, name, "sft", 1, [""] * len(rewards), ["right"] * len(rewards), rewards, None)

    draw = np.random.default_rng(0)
    hard = draw.normal(size=400) * 100  # how hard a question is, for both
    win = _wins([run("a", hard.tolist()), run("b", (hard + 1).tolist())])[0]
    assert (win["judge"]["value"], win["judge"]["low"], win["judge"]["high"]) == (1.0, 1.0, 1.0)
    half = _wins([run("a", [0, 1, 2, 3]), run("b", [0, 1, 3, 2])])[0]
    assert half["judge"]["value"] == 0.5
    assert half["checked"]["value"] == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"answer": "x"}\n', ["prompts.jsonl:1", "no 'prompt'"]),
        ('{"prompt": "a"}\n{"prompt": 3}\n', ["prompts.jsonl:2", "'prompt'"]),
        ('{"prompt": "a", "answer": [1]}\n', ["prompts.jsonl:1", "a text is wanted"]),
        ('{"messages": [{"role": "assistant", "content": "x"}]}\n', ["prompts.jsonl:1", "asks nothing"]),
        ("", ["holds no prompts"]),
    ],
)
def test_bad_prompts_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(LimpidError) as caught:
        read_prompts(path)
    for word in words:
        assert word in str(caught.value)


def test_what_cannot_be_compared_is_refused(runs: dict[str, Path], prompts: Path, tmp_path: Path, judge: Path) -> None:
    with pytest.raises(LimpidError, match="two runs or more"):
        result({"a": runs["after"]}, prompts=prompts)
    with pytest.raises(LimpidError, match="no run at"):
        result(runs | {"c": tmp_path / "nowhere"}, prompts=prompts)
    with pytest.raises(LimpidError, match="a task model"):
        result(runs, prompts=prompts, judge=runs["after"])
    with pytest.raises(LimpidError, match="no file of prompts"):
        read_prompts(tmp_path / "nowhere.jsonl")


def test_a_right_answer_is_right_but_for_white_space() -> None:
    question = Question(({"role": "user", "content": "1 + 1"},), "sums", "2")
    assert question.grade(" 2\n") == "right"
    assert question.grade("3") == "wrong"
    assert question._replace(expected=None).grade("2") is None


def test_runs_that_all_said_nothing_still_have_a_page() -> None:
    """Every measure is 0, and so are both ends of its axis."""
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "<svg" in interval_bar([("", nothing)], 0.0, 0.0, "words: 0")


def test_a_bar_of_measures_that_are_all_the_same() -> None:
    measure = {"value": 1.5, "low": 1.5, "high": 1.5}
    assert "nan" not in interval_bar([("", measure)], 1.5, 1.5, "all alike")
