"""GRPO and PPO as whole stages: resumed to the bit, shared by processes, and the same where they must be the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.data import addition
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.stages.events import Finished, Started
from limpid.stages.grpo import grpo
from limpid.stages.ppo import ppo
from limpid.stages.recipe import Recipe
from limpid.stages.rl import rewarded_by
from limpid.text.tokenizer import TokenizerSection, train
from limpid.training.objectives import policy_gradient

ALONE = World(0, 1, torch.device("cpu"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
STAGES = {"grpo": grpo, "ppo": ppo}
RL = {
    "path": "addition", "rewards": [{"function": "length", "options": {"words": 1}}, {"function": "arithmetic"}],
    "unfinished": 0.5, "steps": 3, "prompts": 4, "samples": 4, "max_tokens": 5, "lr": 1e-3, "epochs": 2,
    "minibatches": 2, "demonstrations": 3, "text_rows": 1, "max_kl": 100.0, "kl": 0.1, "warmup_steps": 1,
}  # fmt: skip
SMALL = {
    "data": {"path": "addition"},
    "train": {"dtype": "float32", "compile": False, "micro_tokens": 320},
    "eval": {"every": 0, "questions": 6, "overlap": 0.0},
    "checkpoint": {"every": 1, "keep": 50},
}
MORE = {
    "grpo": {},
    "grpo steered": {"kl_target": 1.0},
    "dapo": {"algorithm": "dapo", "kl_target": 1.0, "kl": 0.1},
    "rloo": {"algorithm": "rloo"},
    "ppo": {"kl_target": 1.0},
    "ppo shared": {"value": "shared"},
}


def slow(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A model that has learnt nothing, but stops now and then: its head leans to the end of the turn."""
    tokenizer = train(TokenizerSection(kind="char"), [d.text for d in addition.corpus()["train"]])
    shape = {"context": 32, "d_model": 32, "n_layer": 1, "n_head": 2, "n_kv_head": 2, "head_dim": 16, "d_ff": 48}
    model = build(LlamaConfig(vocab_size=tokenizer.vocab_size, tie_embeddings=False, **shape), seed=1)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=draw)
    run = tmp_path_factory.mktemp("runs") / "sft"
    store.write(store.checkpoint_path(run, 1), model, tokenizer, {"stage": "sft", "step": 1}, ALONE)
    return run


def recipe(name: str, **changes: object) -> Recipe:
    stage = name.split()[0] if name.split()[0] == "ppo" else "grpo"
    return parse(Recipe, SMALL | {stage: RL | MORE[name] | changes}, "small")


def stage_of(name: str) -> str:
    return "ppo" if name.startswith("ppo") else "grpo"


def weights(run: Path, step: int | None = None) -> list[torch.Tensor]:
    return list(store.read(run if step is None else store.checkpoint_path(run, step)).model.parameters())


def records(run: Path) -> list[dict]:
    return [r for r in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in r]


@pytest.mark.parametrize("name", MORE)
def test_a_run_cut_in_the_middle_of_a_rollout_ends_as_if_nothing_had_happened(tmp_path, source, name):
    run = STAGES[stage_of(name)]
    whole, part = tmp_path / "whole", tmp_path / "part"
    events = list(run(recipe(name), source, whole, ALONE))
    assert isinstance(events[0], Started)
    assert "engine and trainer agree on" in events[0].note
    assert events[0].steps == 12  # 3 rollouts of 2 x 2 updates
    summary = events[-1].summary
    assert isinstance(events[-1], Finished)
    assert {"held-out reward", "held-out reward before", "test bits per byte before"} <= summary["measures"].keys()
    shutil.copytree(whole, part)
    (part / "summary.json").unlink()
    for step in range(6, 13):  # after 5 of 12: the second rollout has been used once
        shutil.rmtree(store.checkpoint_path(part, step))
    list(run(recipe(name), source, part, ALONE, resume=True))
    for p, q in zip(weights(whole), weights(part), strict=True):
        assert torch.equal(p, q)
    assert [r["loss"] for r in records(whole)] == [r["loss"] for r in records(part)]
    assert (whole / "samples.jsonl").read_text() == (part / "samples.jsonl").read_text()
    moved = [not torch.equal(p, q) for p, q in zip(weights(source), weights(whole), strict=True)]
    assert any(moved)


def test_every_step_tells_reward_divergence_entropy_and_length_together_even_where_the_divergence_costs_nothing(
    tmp_path, source
):
    run = tmp_path / "run"
    list(grpo(recipe("grpo", kl=0.0), source, run, ALONE))
    for record in records(run):
        told = {"reward", "reward/length", "reward/arithmetic", "kl", "entropy", "length", "clip_fraction"}
        assert told <= record.keys()
    assert records(run)[-1]["kl"] > 1e-4
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert {s["step"] for s in samples} == {1, 5, 9}
    assert set(samples[0]) == {"step", "prompt", "answer", "tokens", "finished", "reward", "parts"}
    other = tmp_path / "ppo"
    list(ppo(recipe("ppo"), source, other, ALONE))
    assert {"explained_variance", "value_loss", "kl_coefficient", "kl_an_answer"} <= records(other)[-1].keys()


@pytest.mark.parametrize("name", ["grpo", "dapo", "rloo", "ppo"])
def test_an_adaptive_coefficient_is_told_of_the_rollout_that_it_is_used_in(tmp_path, source, name, monkeypatch):
    used: list[float] = []
    loss = policy_gradient.policy_loss

    def watched(hidden: Any, head: Any, tokens: Any, terms: Any, other: Any) -> Any:
        used.append(terms.kl)
        return loss(hidden, head, tokens, terms, other)

    monkeypatch.setattr(policy_gradient, "policy_loss", watched)
    target, run = 0.3, tmp_path / "run"
    one_update = {"epochs": 1, "minibatches": 1, "kl_target": target, "lr": 1e-2, "steps": 4}
    made = parse(Recipe, SMALL | {"train": SMALL["train"] | {"micro_tokens": 100_000}}, "one")
    section = getattr(recipe(name, **one_update), stage_of(name))
    list(STAGES[stage_of(name)](made.model_copy(update={stage_of(name): section}), source, run, ALONE))
    told = records(run)
    if name in ("grpo", "dapo"):  # elsewhere it is taken off the reward
        assert used == [record["kl_coefficient"] for record in told]
    expected = section.kl if name == "ppo" else section.settings.kl
    for record in told:
        assert record["kl_coefficient"] == pytest.approx(expected)
        expected *= 1 + 0.1 * min(0.2, max(-0.2, record["kl_an_answer"] / target - 1))
    assert told[0]["kl_coefficient"] != told[-1]["kl_coefficient"]


@pytest.mark.parametrize(
    "name",
    ["grpo", slow("rloo"), "ppo", slow("ppo shared")],
)
def test_two_processes_make_the_updates_of_one(tmp_path, source, name):
    stage = stage_of(name)
    made = recipe(name, steps=1)
    path = tmp_path / "small.toml"
    path.write_text(tomli_w.dumps(made.model_dump(mode="json", exclude_none=True)))
    one, two = tmp_path / "one", tmp_path / "two"
    list(STAGES[stage](made, source, one, ALONE))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "limpid", stage, str(path),
         "--from", str(source), "--out", str(two)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for step in (1, 4):
        for p, q in zip(weights(one, step), weights(two, step), strict=True):
            torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-4)
    for a, b in zip(records(one), records(two), strict=True):
        for measure in ("loss", "reward", "kl", "entropy", "length", "grad_norm"):
            assert b[measure] == pytest.approx(a[measure], abs=1e-5, rel=1e-4), measure


def run_of(tmp_path: Path, source: Path, label: str, made: Recipe) -> list[torch.Tensor]:
    list(grpo(made, source, tmp_path / label, ALONE))
    return weights(tmp_path / label)


@pytest.mark.parametrize(
    ("one", "other", "tables"),
    [
        ({"clip_low": 0.0, "clip_high": 0.0}, {"clip_low": 0.2, "clip_high": 0.28}, {}),  # nothing has moved yet
        ({"baseline": "leave_one_out", "lr": 1e-3}, {"baseline": "group", "lr": 1e-3}, {}),  # Adam knows no scale
        ({}, {}, {"train": SMALL["train"] | {"micro_tokens": 64}}),  # accumulated
        ({}, {"rewards": [{**r, "weight": 0.5} for r in RL["rewards"]] * 2}, {}),
        ({}, {"algorithm": "dr-grpo", "normalise": "tokens", "kl_estimator": "exact", "skip_equal": True}, {}),
    ],
    ids=["clip", "baseline", "accumulation", "half twice", "one algorithm as another"],
)
def test_settings_that_mean_the_same_share_a_trajectory(tmp_path, source, one, other, tables):
    plain = {"epochs": 1, "minibatches": 1, "kl": 0.0, "demonstrations": 0, "text_rows": 0, "warmup_steps": 0}
    if "baseline" in one:
        plain["steps"] = 1
    first = run_of(tmp_path, source, "a", recipe("grpo", **plain, **one))
    table = SMALL | tables | {"grpo": RL | plain | other}
    second = run_of(tmp_path, source, "b", parse(Recipe, table, "small"))
    for p, q in zip(first, second, strict=True):
        torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-3)


def test_the_guard_ends_a_run_that_has_left_its_bounds(tmp_path, source):
    with pytest.raises(LimpidError, match=r"past grpo.max_kl = 1e-06"):
        list(grpo(recipe("grpo", max_kl=1e-6), source, tmp_path / "a", ALONE))
    with pytest.raises(LimpidError, match=r"outside of ppo.length_bounds = \[30, 40\]"):
        list(ppo(recipe("ppo", length_bounds=[30, 40]), source, tmp_path / "b", ALONE))


def test_prompts_longer_than_the_context_are_left_out_and_counted(tmp_path, source):
    rows = [{"prompt": f"{i} + 1", "expected": str(i + 1)} for i in range(40)] + [{"prompt": "9 + 9 " * 8}] * 3
    path, held = tmp_path / "rows.jsonl", tmp_path / "held.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    held.write_text("\n".join(map(json.dumps, rows[:8])))
    made = recipe("grpo", path=str(path), held_out=str(held), demonstrations=2, steps=1)
    events = list(grpo(made, source, tmp_path / "run", ALONE))
    assert "3 prompts are longer than 27 tokens" in events[0].note
    path.write_text(json.dumps(rows[-1]))
    with pytest.raises(LimpidError, match="too long for the model's context, and none is left"):
        list(grpo(made, source, tmp_path / "none", ALONE))
    with pytest.raises(LimpidError, match="leaves no room for a prompt"):
        list(grpo(recipe("grpo", max_tokens=32), source, tmp_path / "room", ALONE))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"samples": 1}, "samples = 1: an answer of its own group has nothing to be compared with"),
        ({"kl_estimator": "k1"}, "k1 is no term of a loss"),
        ({"algorithm": "rloo", "kl_estimator": "k3"}, 'takes kl_estimator = "k1"'),
        ({"algorithm": "gpro"}, "grpo"),
        ({"algorithm": "dapo", "kl_target": 3.0}, "kl_target steers the coefficient kl, which is 0"),
        ({"rewards": [{"function": "arithmetic", "wieght": 2}]}, "Did you mean 'weight'"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(section, words):
    with pytest.raises(LimpidError, match=words):
        parse(Recipe, {"grpo": section}, "bad")


def test_a_reward_model_without_a_path_is_the_one_beside_the_model_that_learns():
    table = {"grpo": {"rewards": [{"function": "model", "weight": 0.5}, {"function": "python-docs"}]}}
    mixed, plain = parse(Recipe, table, "mixed"), parse(Recipe, {}, "plain")
    found = rewarded_by(mixed, "grpo", Path("runs/x/sft"), None).grpo.rewards
    assert [r.function for r in found] == ["model", "python-docs"]
    assert (found[0].options, found[0].weight) == ({"path": str(Path("runs/x/reward"))}, 0.5)
    named = rewarded_by(mixed, "grpo", Path("runs/x/sft"), Path("other")).grpo.rewards
    assert named[0].options == {"path": "other"}
    assert rewarded_by(plain, "grpo", Path("runs/x/sft"), None) is plain
    instead = rewarded_by(plain, "ppo", Path("runs/x/sft"), Path("other")).ppo.rewards
    assert [(r.function, r.options) for r in instead] == [("model", {"path": "other"})]
