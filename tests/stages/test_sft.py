"""Fine-tuning on one's own conversations: what is learnt, left out and measured, and a resume to the bit."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
import torch
from tests.stages.conftest import WORDS
from tests.stages.test_training_run import ALONE, ENVIRONMENT, cut_back, weights

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.stages.events import Evaluated, Finished, Started
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.stages.sft import sft
from limpid.training.fit import StepReport


def talk(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def pretrained(tmp_path: Path, tiny_recipe: Recipe) -> Path:
    run = tmp_path / "pretrained"
    list(pretrain(tiny_recipe, run, ALONE))
    return run


def recipe_for(table: dict, path: str, **more: object) -> Recipe:
    section = {"path": path, "steps": 8, "tokens_per_step": 256, "warmup_steps": 0, **more}
    return parse(Recipe, table | {"sft": section}, "tiny")


def summary_of(events: list) -> dict:
    (finished,) = [event for event in events if isinstance(event, Finished)]
    return finished.summary


@pytest.mark.parametrize("lora", [0, 4])
def test_held_out_answers_are_measured_and_a_resume_is_exact(tmp_path, tiny_table, pretrained, lora):
    pairs = [f"{a} {b}" for a in WORDS[:14] for b in WORDS[:14]]
    rows = [talk(pair, "it was good" if n % 2 else "on a mat") for n, pair in enumerate(pairs)]
    table = tiny_table | {"lora": {"rank": lora, "dropout": 0.1}}
    recipe = recipe_for(table, write(tmp_path / "a.jsonl", rows), dropout=0.1)
    events = list(sft(recipe, pretrained, tmp_path / "whole", ALONE))
    measured = [event.values for event in events if isinstance(event, Evaluated)]
    assert all({"validation_bits_per_byte", "answers_bits_per_byte"} == set(values) for values in measured)
    interval = summary_of(events)["measures"]["test answers: bits per byte"]
    assert interval["low"] <= interval["value"] <= interval["high"]
    assert summary_of(events)["best"]["value"] == min(values["answers_bits_per_byte"] for values in measured)
    cut_back(tmp_path / "whole", tmp_path / "part", 4)
    list(sft(recipe, pretrained, tmp_path / "part", ALONE, resume=True))
    for p, q in zip(weights(tmp_path / "whole"), weights(tmp_path / "part"), strict=True):
        assert torch.equal(p, q)


def test_answers_learnt_by_heart_are_given_and_ended(tmp_path, tiny_table, pretrained):
    """The end of a turn is learnt like a word: else an answer would run on to its limit."""
    facts = {"the cat": "sat on a mat", "it was": "good", "mat": "猫 坐 在"}
    path = write(tmp_path / "a.jsonl", [talk(question, answer) for question, answer in facts.items()])
    table = tiny_table | {"eval": tiny_table["eval"] | {"every": 0}}
    recipe = recipe_for(table, path, steps=300, text_share=0.0, lr_factor=1.0)
    events = list(sft(recipe, pretrained, tmp_path / "sft", ALONE))
    (started,) = [event for event in events if isinstance(event, Started)]
    assert "no conversation is held out" in started.note
    checkpoint = store.read(tmp_path / "sft")
    lm = LanguageModel(inference_copy(checkpoint.model, torch.float32), checkpoint.tokenizer)
    for question, answer in facts.items():
        asked = [{"role": "user", "content": question}]
        said = list(lm.stream_chat(asked, temperature=0, max_tokens=25))
        assert "".join(event.text for event in said) == answer
        assert said[-1].finish == "stop"


def test_fine_tuning_may_decay_otherwise_than_pretraining(tmp_path, tiny_table, pretrained):
    path = write(tmp_path / "a.jsonl", [talk(word, "it was good") for word in WORDS])

    def tuned(name: str, decay: float, **section: object) -> list[torch.Tensor]:
        recipe = recipe_for(tiny_table | {"optim": {"weight_decay": decay}}, path, steps=2, **section)
        list(sft(recipe, pretrained, tmp_path / name, ALONE))
        return weights(tmp_path / name)

    without, with_decay = tuned("without", 0.0), tuned("with", 0.9)
    assert all(map(torch.equal, tuned("own", 0.9, weight_decay=0.0), without))
    assert not all(map(torch.equal, with_decay, without))


def test_long_conversations_are_left_out_or_cut_and_it_is_said(tmp_path, tiny_table, pretrained):
    rows = [talk("the cat", "sat"), talk("cat", "sat " * 12), talk("it was " * 9, "good")]  # context: 32 characters
    rows += [talk(word, "on a mat") for word in WORDS]
    path = write(tmp_path / "a.jsonl", rows)
    for too_long, words in (
        ("drop", ["2 are longer than model.context = 32: left out"]),
        (
            "truncate",
            ["1 are longer than model.context = 32 and lose their end", "1 are left out, as no token", "a.jsonl:3"],
        ),
    ):
        recipe = recipe_for(tiny_table, path, too_long=too_long, steps=1)
        events = list(sft(recipe, pretrained, tmp_path / too_long, ALONE))
        (started,) = [event for event in events if isinstance(event, Started)]
        for part in words:
            assert part in started.note
        assert all(math.isfinite(event.loss) for event in events if isinstance(event, StepReport))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([talk("it was " * 9, "good")], "leaves nothing to learn from: .* longer than model.context = 32"),
        ([talk("the cat", "")], r"a.jsonl:1 \(assistant\) is empty"),
        ([{"messages": [talk("a", "b")["messages"][0]]}], r"a.jsonl:1 is by the user"),
        (
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}],
            "leaves nothing to learn from: .* all its answers weigh 0",
        ),
    ],
)
def test_conversations_that_teach_nothing_are_refused(tmp_path, tiny_table, pretrained, rows, message):
    recipe = recipe_for(tiny_table, write(tmp_path / "a.jsonl", rows))
    with pytest.raises(LimpidError, match=message):
        list(sft(recipe, pretrained, tmp_path / "sft", ALONE))


def test_two_processes_adapt_a_model_as_one_does(tmp_path, tiny_table, pretrained):
    rows = [talk(f"{a} {b}", "it was good" if a < b else "on a mat") for a in WORDS[:14] for b in WORDS[:14]]
    section = {"path": write(tmp_path / "a.jsonl", rows), "steps": 4, "tokens_per_step": 256, "warmup_steps": 0}
    table = tiny_table | {"sft": section, "lora": {"rank": 3}}
    (tmp_path / "tiny.toml").write_text(tomli_w.dumps(table))
    list(sft(parse(Recipe, table, "tiny"), pretrained, tmp_path / "one", ALONE))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "limpid", "sft",
         str(tmp_path / "tiny.toml"), "--from", str(pretrained), "--out", str(tmp_path / "two")],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for p, q in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    apart = store.read(tmp_path / "two", merge=False).model
    assert any(float(p.detach().abs().max()) > 0 for name, p in apart.named_parameters() if name.endswith(".b"))
