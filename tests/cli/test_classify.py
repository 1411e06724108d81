"""``limpid classify``: trained and asked from the command line."""

import json
import os
import subprocess
import sys

import pytest
import torch
from tests.conftest import random_llama
from tests.models.test_task import task_model

from limpid.checkpoint import store
from limpid.models.adapt import adapted
from limpid.parallel.environment import World
from limpid.text.task_inputs import with_task_tokens


@pytest.fixture(scope="module")
def run(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("runs") / "c"
    after = with_task_tokens(tokenizer)
    backbone = adapted(random_llama(), after.vocab_size, 0.0, seed=0)
    world = World(0, 1, torch.device("cpu"))
    for name, task, outputs, labels in (("one", "single", 2, ["bad", "good"]), ("two", "choice", 1, [])):
        model = task_model(backbone, task, outputs, labels=labels)
        store.write(store.checkpoint_path(folder / name, 3), model, after, {"stage": "classify", "step": 3}, world)
    return folder


def limpid(*args, stdin=""):
    command = [sys.executable, "-m", "limpid", "classify", *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, input=stdin, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=120
    )


def test_a_text_lines_and_json_get_the_same_answer(run):
    alone = limpid("predict", run / "one", "--text", "The cat sat.")
    assert alone.returncode == 0, alone.stderr
    label, shares = alone.stdout.rstrip("\n").split("\t")
    assert shares.split()[0] == label
    assert {shares.split()[0], shares.split()[2]} == {"bad", "good"}
    lines = limpid("predict", run / "one", "--json", stdin="A dog\nThe cat sat.\n")
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert len(found) == 2
    assert found[1]["label"] == label
    assert found[1]["probabilities"][label] == pytest.approx(float(shares.split()[1]), abs=6e-4)


def test_choices_come_as_options_or_parted_by_tabs(run):
    asked = limpid("predict", run / "two", "--json", "--text", "The cat", "--choice", "sat", "--choice", "is a log")
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    assert set(found["probabilities"]) == {"0", "1"}
    line = limpid("predict", run / "two", "--json", stdin="The cat\tsat\tis a log\n")
    assert json.loads(line.stdout)["probabilities"] == pytest.approx(found["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["one", "--text", "a", "--second", "b"], "reads one text at a time, not 2"),
        (["two", "--text", "a", "--choice", "b"], "a context and two choices or more"),
        (["one", "--second", "b"], "--second and --choice go with --text"),
        (["none", "--text", "a"], "there is no run at"),
    ],
)
def test_a_wrong_question_is_one_clear_line(run, args, words):
    asked = limpid("predict", run / args[0], *args[1:])
    assert asked.returncode == 1
    assert words in " ".join(asked.stderr.split())
    assert "Traceback" not in asked.stderr


def test_a_language_model_is_no_classifier(saved_run):
    asked = limpid("predict", saved_run, "--text", "a")
    assert asked.returncode == 1
    assert "a llama model is a decoder, and a task model" in " ".join(asked.stderr.split())
