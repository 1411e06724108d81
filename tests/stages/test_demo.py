"""The whole line on python-docs with a tiny model: every stage runs, is kept, and is reported."""

import json

import pytest
import torch

import limpid
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.parallel.environment import World
from limpid.stages.demo import demo
from limpid.stages.events import Finished, Started
from limpid.stages.recipe import Recipe
from limpid.stages.report import write_report

ALONE = World(0, 1, torch.device("cpu"))
TABLE = {
    "tokenizer": {"vocab_size": 1024},
    "model": {"depth": 1, "d_model": 32, "head_dim": 16, "context": 96},
    "train": {"steps": 3, "tokens_per_step": 384, "dtype": "float32", "compile": False},
    "eval": {"every": 0, "tokens": 2000, "questions": 4, "overlap": 0.0},
    "sft": {"steps": 3, "tokens_per_step": 384, "conversations": 200},
    "reward": {"pairs": 40, "test_pairs": 40, "baselines": False},
    "grpo": {"steps": 2, "prompts": 2, "samples": 2, "max_tokens": 6},
}


@pytest.mark.slow
def test_the_whole_line_and_a_rerun_that_has_nothing_left_to_do(tmp_path):
    recipe = parse(Recipe, TABLE, "tiny")
    events = list(demo(recipe, tmp_path / "demo", ALONE))
    assert [e.stage for e in events if isinstance(e, Finished)] == ["tokenizer", "pretrain", "sft", "reward", "grpo"]
    report = write_report(tmp_path / "demo", 1.0)
    assert {"report.json", "report.md", "report.html"} <= {p.name for p in (tmp_path / "demo").iterdir()}
    assert [s["name"] for s in report["stages"]] == ["tokenizer", "pretrain", "sft", "reward", "grpo"]
    assert len(report["prompts"]) == 5
    for question in report["prompts"]:
        assert set(question["after"]) == {"pretrain", "sft", "grpo"}
    for stage in report["stages"][1:]:
        for interval in stage["measures"].values():
            assert interval["low"] <= interval["value"] <= interval["high"]
    assert json.loads((tmp_path / "demo" / "report.json").read_text()) == report

    again = list(demo(recipe, tmp_path / "demo", ALONE))
    assert not any(isinstance(e, Started) for e in again)
    with pytest.raises(LimpidError, match="another recipe"):
        list(demo(parse(Recipe, TABLE | {"optim": {"lr": 0.5}}, "other"), tmp_path / "demo", ALONE))

    model = limpid.load(tmp_path / "demo")
    assert isinstance(model.chat([{"role": "user", "content": "你好"}], max_tokens=4), str)
