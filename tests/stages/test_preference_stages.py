"""The stages that learn from pairs: reward and dpo on a tiny model, resumed to the bit, measured; bad input refused."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from tests.conftest import random_llama
from tests.stages.test_training_run import ALONE, ENVIRONMENT, cut_back, weights

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.data.preferences import prompt_key
from limpid.inference.reward_model import RewardScorer
from limpid.models.decoder import Decoder
from limpid.models.task import TaskModel
from limpid.stages import pairs as pairs_of_stage
from limpid.stages.classify import load_classifier
from limpid.stages.dpo import dpo
from limpid.stages.events import Finished, Started
from limpid.stages.load import load_language_model
from limpid.stages.pairs import SAMPLED
from limpid.stages.preference_recipe import RewardSection
from limpid.stages.questions import dialogues
from limpid.stages.recipe import Recipe
from limpid.stages.reward import reward
from limpid.text.tokenizer import Tokenizer
from limpid.training.fit import StepReport

ANIMALS = ["cat", "dog", "log", "mat"]


def slow(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow)


def rows(count: int, seed: int) -> list[dict[str, str]]:
    """The better answer names what was asked for."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        asked, other = draw.sample(ANIMALS, 2)
        found.append(
            {
                "prompt": f"{draw.choice(['Show', 'Name', 'What is'])} a {asked}{draw.randrange(99)}",
                "chosen": f"A {asked}.",
                "rejected": f"A {other}.",
                "source": draw.choice(["even", "odd"]),
            }
        )
    return found


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, count, seed in (("train", 128, 0), ("validation", 24, 1), ("test", 48, 2)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count, seed)))
    return folder


def recipe_for(path: Path | str, corpus: Path, **changes: Any) -> Recipe:
    table = {
        "data": {"path": str(corpus)},
        "train": {"dtype": "float32", "micro_tokens": 512},
        "eval": {"every": 8, "tokens": 256, "questions": 2},
        "checkpoint": {"every": 4, "keep": 10},
        "reward": {"path": str(path), "pairs_per_step": 16, "epochs": 4, "lr_factor": 0.5},
        "dpo": {"path": str(path), "pairs_per_step": 16, "epochs": 2, "lr": 1e-3},
    }
    for section, keys in changes.items():
        table[section] |= keys
    return parse(Recipe, table, "tiny")


def test_a_reward_model_is_trained_measured_and_asked(
    tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path
) -> None:
    run = tmp_path / "reward"
    events = list(reward(recipe_for(pairs, corpus, reward={"epochs": 12}), saved_run, run, ALONE))
    assert isinstance(events[-1], Finished)
    summary = events[-1].summary
    measures = summary["measures"]
    assert measures["accuracy"]["value"] > 0.9
    assert measures["accuracy"]["low"] <= measures["accuracy"]["value"] <= measures["accuracy"]["high"]
    assert {"accuracy: even", "accuracy: odd", "calibration error"} <= measures.keys()
    assert summary["baselines"]["length alone"]["value"] == pytest.approx(0.5, abs=0.01)  # all names are as long
    assert sum(row["pairs"] for row in summary["reliability"]) == 48
    assert json.loads((run / "report.json").read_text())["measures"] == measures
    assert "| accuracy: even |" in (run / "report.md").read_text()

    scorer = RewardScorer.load(run, device="cpu", dtype="float32")
    asked = [json.loads(line) for line in (pairs / "test.jsonl").read_text().splitlines()]
    prompts = [[{"role": "user", "content": row["prompt"]}] for row in asked]
    better = scorer.score([(p, row["chosen"]) for p, row in zip(prompts, asked, strict=True)])
    worse = scorer.score([(p, row["rejected"]) for p, row in zip(prompts, asked, strict=True)])
    right = sum(a > b for a, b in zip(better, worse, strict=True)) / len(asked)
    assert right == pytest.approx(measures["accuracy"]["value"], abs=0.5 / len(asked))
    assert abs(sum(better) + sum(worse)) / (2 * len(asked)) < 2  # centred
    assert scorer.score([]) == []
    with pytest.raises(LimpidError, match="conversation 1 has .* tokens and the reward model's context is 64"):
        scorer.score([(prompts[0], "A cat. " * 40)])
    with pytest.raises(LimpidError, match="a decoder is needed here"):
        load_language_model(run)
    with pytest.raises(LimpidError, match="grades text and names no class"):
        load_classifier(run)
    with pytest.raises(LimpidError, match="a task model"):
        RewardScorer.load(saved_run)


def test_the_reward_is_read_at_the_end_of_the_turn(tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path) -> None:
    """Padding after an answer changes nothing, and the number is that of its last token."""
    run = tmp_path / "reward"
    list(reward(recipe_for(pairs, corpus, reward={"epochs": 1, "baselines": False}), saved_run, run, ALONE))
    scorer = RewardScorer.load(run, device="cpu", dtype="float32")
    prompt = [{"role": "user", "content": "Name a cat"}]
    alone = scorer.score([(prompt, "A cat.")])[0]
    beside = scorer.score([(prompt, "A cat."), (prompt, "The cat sat on the mat and the dog on the log.")])[0]
    assert alone == pytest.approx(beside, abs=1e-5)
    model, tokenizer = scorer.model, scorer.tokenizer
    ids = [tokenizer.end_of_text, tokenizer.user, *tokenizer.encode("Name a cat"), tokenizer.end_of_turn]
    ids += [tokenizer.assistant, *tokenizer.encode("A cat."), tokenizer.end_of_turn]
    with torch.no_grad():
        hidden = model.backbone(torch.tensor([ids]))
        assert float(model.head(hidden[0, -1])) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("stage", ["reward", "likelihood", "dpo", "kto"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path, stage: str
) -> None:
    run = dpo if stage in ("dpo", "kto") else reward
    changes = {"dpo": {"loss": "kto" if stage == "kto" else "dpo"}, "reward": {"likelihood": stage == "likelihood"}}
    recipe = recipe_for(pairs, corpus, **changes)
    whole, part = tmp_path / "whole", tmp_path / "part"
    first = list(run(recipe, saved_run, whole, ALONE))[-1]
    cut_back(whole, part, 4)
    second = list(run(recipe, saved_run, part, ALONE, resume=True))[-1]
    assert all(torch.equal(p, q) for p, q in zip(weights(whole), weights(part), strict=True))
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert first.summary["measures"] == second.summary["measures"]


@pytest.mark.parametrize("name", [slow("likelihood"), "dpo", "kto"])
def test_two_processes_make_the_updates_of_one(
    tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path, name: str
) -> None:
    stage, run = ("reward", reward) if name == "likelihood" else ("dpo", dpo)
    few = {"pairs_per_step": 16, "epochs": 0.5}
    settings = {"likelihood": True} if stage == "reward" else {"imitation": 0.1, "loss": name}
    made = recipe_for(pairs, corpus, **{stage: few | settings})
    path = tmp_path / "small.toml"
    path.write_text(tomli_w.dumps(made.model_dump(mode="json", exclude_none=True)))
    one, two = tmp_path / "one", tmp_path / "two"
    list(run(made, saved_run, one, ALONE))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "limpid", stage, str(path),
         "--from", str(saved_run), "--out", str(two)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for p, q in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-4)
    logs = [
        [r for r in map(json.loads, (out / "metrics.jsonl").read_text().splitlines()) if "loss" in r]
        for out in (one, two)
    ]
    for a, b in zip(*logs, strict=True):
        for measure in ("loss", "accuracy", "margin", "chosen_reward") if stage == "dpo" else ("loss",):
            assert b[measure] == pytest.approx(a[measure], abs=1e-4), measure  # of the pairs of both
    told = [json.loads((out / "summary.json").read_text())["measures"] for out in (one, two)]
    assert told[1].keys() == told[0].keys()
    for measure, found in told[0].items():
        assert told[1][measure]["value"] == pytest.approx(found["value"], abs=1e-4), measure


@pytest.mark.parametrize("loss", ["dpo", slow("ipo"), "kto", slow("orpo")])
def test_each_loss_learns_the_pairs(tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path, loss: str) -> None:
    settings = {"loss": loss, "epochs": 8, "lr": 3e-3, "imitation": 0.1, "beta": {"orpo": 1.0}.get(loss, 0.2)}
    events = list(dpo(recipe_for(pairs, corpus, dpo=settings), saved_run, tmp_path / "run", ALONE))
    steps = [event for event in events if isinstance(event, StepReport)]
    assert len(steps) == 64
    assert steps[-1].loss < steps[0].loss
    assert isinstance(events[-1], Finished)
    measures = events[-1].summary["measures"]
    assert measures["implicit reward accuracy"]["value"] > 0.75
    assert any(name.endswith("bits per byte") for name in measures)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    told = next(line for line in reversed(lines) if "loss" in line)
    assert told["accuracy"] > 0.7
    assert {"margin", "chosen_reward", "rejected_reward", "length"} <= told.keys()
    if loss != "orpo":
        assert told["kl"] > 0
        first = next(line for line in lines if "loss" in line)
        assert first["kl"] == pytest.approx(0, abs=1e-5)
        assert first["margin"] == pytest.approx(0, abs=1e-4)
    assert isinstance(store.read(tmp_path / "run").model, Decoder)


def test_text_beside_the_pairs_holds_the_language(tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path) -> None:
    bits = {}
    for share in (0.0, 0.5):
        recipe = recipe_for(pairs, corpus, dpo={"text_share": share, "epochs": 6})
        done = list(dpo(recipe, saved_run, tmp_path / f"run{share}", ALONE))[-1]
        assert isinstance(done, Finished)
        bits[share] = next(m["value"] for name, m in done.summary["measures"].items() if name.endswith("per byte"))
    assert bits[0.5] < bits[0.0]


@pytest.fixture
def wide_run(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A tiny model that reads enough for questions about Python."""
    run = tmp_path / "wide"
    model = random_llama(context=256)
    store.write(store.checkpoint_path(run, 1), model, tokenizer, {"stage": "sft", "step": 1}, ALONE)
    return run


@pytest.mark.parametrize("stage", [reward, dpo])
def test_embedded_pairs_and_the_models_own_answers(tmp_path: Path, corpus: Path, wide_run: Path, stage: Any) -> None:
    few = {"pairs": 24, "test_pairs": 24, "sampled": 8, "samples": 2, "epochs": 1}
    recipe = recipe_for("python-docs", corpus, reward=few | {"baselines": False}, dpo=few)
    (tmp_path / "run").mkdir()
    stale = {"prompt": [{"role": "user", "content": "?"}], "chosen": "another run's", "rejected": "x", "kind": ""}
    (tmp_path / "run" / SAMPLED).write_text(json.dumps(stale) + "\n")  # of a run cut short before its first save
    events = list(stage(recipe, wide_run, tmp_path / "run", ALONE))
    started, done = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(done, Finished)
    own = [json.loads(line) for line in (tmp_path / "run" / SAMPLED).read_text().splitlines()]
    assert f"{len(own)} pairs made of the model's own answers to 8 questions" in started.note
    assert all(row["chosen"] != row["rejected"] for row in own)
    assert stale not in own
    if stage is reward:
        names = done.summary["measures"].keys()
        assert {"accuracy", "accuracy: unknown", "accuracy: arithmetic"} <= names
        assert all(":" in manner for manner in done.summary["manners"])
    else:
        assert "unknown: wrong" in done.summary["measures"]
        assert len(done.summary["answers"]) == 5


def test_what_is_held_out_of_its_own_answers_is_asked_nowhere_in_training(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its questions are drawn from those that pairs of the documentation are made of."""
    stream = dialogues(0)
    own = [stream.preferences(i, "train")._replace(rejected="so it says") for i in range(60)]
    monkeypatch.setattr(pairs_of_stage, "sampled_pairs", lambda *_, **__: own)
    section = RewardSection(pairs=60, test_pairs=5, sampled=60)
    found = pairs_of_stage.load_pairs(section, 0, tokenizer, 1024, tmp_path, lambda: None)  # type: ignore[arg-type, return-value]
    held_out = {prompt_key(pair) for pair in found.test.pairs if pair.kind.startswith("own answers")}
    assert held_out
    assert not held_out & {prompt_key(pair) for pair in found.train.pairs}
    assert "(their prompt is held out with the model's own answers)" in found.note


@pytest.mark.parametrize(
    ("stage", "changes", "words"),
    [
        (dpo, {"dpo": {"loss": "ipo", "smoothing": 0.1}}, "dpo.smoothing belongs to dpo.loss = dpo"),
        (dpo, {"dpo": {"path": "nowhere.jsonl"}}, "dpo.path"),
        (reward, {"reward": {"path": "nowhere.jsonl"}}, "reward.path"),
    ],
)
def test_bad_settings_are_one_clear_line(
    tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path, stage: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(LimpidError, match=words):
        list(stage(recipe_for(pairs, corpus, **changes), saved_run, tmp_path / "run", ALONE))


def test_pairs_left_out_are_told(tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path) -> None:
    more = [
        {"prompt": "Show a cat", "chosen": "A cat.", "rejected": "A cat. "},
        {"prompt": "Show a dog", "chosen": "", "rejected": "A cat."},
        {"prompt": "Show a dog " * 30, "chosen": "A dog.", "rejected": "A cat."},
    ]
    with (pairs / "train.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in more)
    recipe = recipe_for(pairs, corpus, reward={"epochs": 0.2, "baselines": False})
    started = next(iter(reward(recipe, saved_run, tmp_path / "run", ALONE)))
    assert isinstance(started, Started)
    for words in (
        "1 pairs left out (the same answer twice)",
        "1 pairs left out (an empty answer)",
        "1 pairs left out (longer than model.context = 64)",
    ):
        assert words in started.note


def test_rewards_stay_finite_where_all_pairs_say_the_same(
    tmp_path: Path, corpus: Path, saved_run: Path, pairs: Path
) -> None:
    """One pair over and over: margins grow, nothing overflows, and the calibration is still a number."""
    row = {"prompt": "Show a cat", "chosen": "A cat.", "rejected": "A dog."}
    for name in ("train", "validation", "test"):
        (pairs / f"{name}.jsonl").write_text((json.dumps(row) + "\n") * 20)
    done = list(reward(recipe_for(pairs, corpus, reward={"epochs": 30}), saved_run, tmp_path / "run", ALONE))[-1]
    assert isinstance(done, Finished)
    assert done.summary["measures"]["accuracy"]["value"] == 1.0
    assert math.isfinite(done.summary["measures"]["calibration error"]["value"])
    assert isinstance(store.read(tmp_path / "run", TaskModel).model, TaskModel)
