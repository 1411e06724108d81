"""A run can be stopped anywhere and ends in the same weights; one folder has one run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w
import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.paths import RunLock
from limpid.core.recipe import parse
from limpid.models.model import Model
from limpid.parallel.environment import World
from limpid.stages.events import Evaluated, Finished, Saved, Started
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.training.fit import StepReport

ALONE = World(0, 1, torch.device("cpu"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def weights(run: Path) -> list[torch.Tensor]:
    return list(store.read(run, Model).model.parameters())


def cut_back(whole: Path, part: Path, step: int) -> None:
    """A copy of a finished run as it was after ``step`` steps."""
    shutil.copytree(whole, part)
    (part / "summary.json").unlink()
    for other in store.steps_of(part):
        if other > step:
            shutil.rmtree(store.checkpoint_path(part, other))


@pytest.fixture
def whole_run(tmp_path, tiny_recipe) -> Path:
    run = tmp_path / "whole"
    events = list(pretrain(tiny_recipe, run, ALONE))
    assert isinstance(events[0], Started)
    assert sum(isinstance(e, StepReport) for e in events) == 8
    assert [e.step for e in events if isinstance(e, Evaluated)] == [4, 8]
    assert [e.step for e in events if isinstance(e, Saved)] == [2, 4, 6, 8]
    assert isinstance(events[-1], Finished)
    return run


@pytest.mark.parametrize("step", [2, 6])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, tiny_recipe, whole_run, step):
    part = tmp_path / "part"
    cut_back(whole_run, part, step)
    list(pretrain(tiny_recipe, part, ALONE, resume=True))
    for p, q in zip(weights(whole_run), weights(part), strict=True):
        assert torch.equal(p, q)
    losses = [
        [r["loss"] for r in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in r]
        for run in (whole_run, part)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 8


def test_the_best_is_kept_though_no_checkpoint_was_due(tmp_path, tiny_table):
    """At such a rate what comes next is anything: the best is not the last."""
    wild = tiny_table | {"optim": {"kind": "adamw", "lr": 30.0, "clip": 0.0}, "eval": {"every": 1, "tokens": 512}}
    recipe = parse(Recipe, wild | {"checkpoint": {"every": 100, "keep": 1}}, "wild")
    events = list(pretrain(recipe, tmp_path / "run", ALONE))
    looks = {e.step: e.values["validation_bits_per_byte"] for e in events if isinstance(e, Evaluated)}
    best = min(looks, key=looks.__getitem__)
    assert best < 8
    assert store.steps_of(tmp_path / "run") == [best, 8]
    assert store.read(store.checkpoint_path(tmp_path / "run", best)).state["best"]["step"] == best


def test_a_run_is_not_begun_twice_and_not_resumed_with_another_recipe(tmp_path, tiny_table, tiny_recipe, whole_run):
    with pytest.raises(LimpidError, match="already holds a run: add --resume"):
        list(pretrain(tiny_recipe, whole_run, ALONE))
    other = parse(Recipe, tiny_table | {"optim": {"lr": 0.5}}, "other")
    with pytest.raises(LimpidError, match=r"begun with another recipe \(lr = 0.5\)"):
        list(pretrain(other, whole_run, ALONE, resume=True))


def test_a_run_saved_before_a_key_existed_goes_on(tmp_path, tiny_recipe, whole_run):
    """Its recipe lacks the key, which means the default."""
    part = tmp_path / "part"
    cut_back(whole_run, part, 4)
    text = (part / "recipe.toml").read_text(encoding="utf-8")
    assert "word_dropout = 0.0\n" in text
    (part / "recipe.toml").write_text(text.replace("word_dropout = 0.0\n", ""), encoding="utf-8")
    list(pretrain(tiny_recipe, part, ALONE, resume=True))
    assert (part / "summary.json").exists()
    (part / "recipe.toml").write_text(text.replace("# limpid pretrain", "# limpid sft"), encoding="utf-8")
    with pytest.raises(LimpidError, match="begun with another recipe"):
        list(pretrain(tiny_recipe, part, ALONE, resume=True))


def test_two_runs_in_one_folder_are_refused(tmp_path, tiny_recipe):
    with RunLock(tmp_path / "run"), pytest.raises(LimpidError, match="Another limpid process"):
        list(pretrain(tiny_recipe, tmp_path / "run", ALONE))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_rest_is_as_if_nothing_had_happened(tmp_path, tiny_table, number, code):
    table = tiny_table | {"train": tiny_table["train"] | {"steps": 4000}, "checkpoint": {"every": 0, "keep": 1}}
    recipe, run = tmp_path / "tiny.toml", tmp_path / "run"
    recipe.write_text(tomli_w.dumps(table))
    process = subprocess.Popen(
        [sys.executable, "-m", "limpid", "pretrain", str(recipe), "--out", str(run)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or '"step": 3,' not in (run / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "--resume continues from there" in errors
    assert "Traceback" not in errors
    (step,) = store.steps_of(run)
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == step


def test_two_processes_follow_one_and_their_checkpoint_serves_any_number(tmp_path, tiny_table, tiny_recipe, whole_run):
    recipe, run = tmp_path / "tiny.toml", tmp_path / "two"
    table = json.loads(json.dumps(tiny_table))
    table["model"]["dropout"] = 0.0
    recipe.write_text(tomli_w.dumps(table))
    one = tmp_path / "one"
    list(pretrain(parse(Recipe, table, "tiny"), one, ALONE))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "limpid",
         "pretrain", str(recipe), "--out", str(run)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The run is in") == 1  # one process speaks
    folder = store.checkpoint_path(run, 4)
    assert sorted(p.name for p in folder.glob("model*")) == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    for p, q in zip(weights(one), weights(run), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    losses = [
        [r["loss"] for r in map(json.loads, (r / "metrics.jsonl").read_text().splitlines()) if "loss" in r]
        for r in (one, run)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    part = tmp_path / "part"
    cut_back(run, part, 4)
    list(pretrain(parse(Recipe, table, "tiny"), part, ALONE, resume=True))
    for p, q in zip(weights(one), weights(part), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("aaaaaaaaaa" * 300, "only the character 'a'"),
        ("ab" * 25, "fewer than one window"),
    ],
)
def test_text_that_cannot_be_learnt_from_is_one_clear_line(tmp_path, tiny_table, text, words):
    (tmp_path / "bad.txt").write_text(text)
    recipe = parse(Recipe, tiny_table | {"data": {"path": str(tmp_path / "bad.txt")}, "model": {"context": 64}}, "bad")
    with pytest.raises(LimpidError) as caught:
        list(pretrain(recipe, tmp_path / "run", ALONE))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
