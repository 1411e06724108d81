"""LoRA in the stages that learn from pairs and from rewards: only adapters move, and a resume is exact to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tests.stages.test_preference_stages import pairs, recipe_for  # noqa: F401
from tests.stages.test_rl import RL, SMALL, source  # noqa: F401
from tests.stages.test_training_run import ALONE

from limpid.checkpoint import store
from limpid.core.recipe import parse
from limpid.models.lora import LoraSection, is_adapter
from limpid.models.model import Model
from limpid.stages.dpo import dpo
from limpid.stages.events import Started
from limpid.stages.grpo import grpo
from limpid.stages.ppo import ppo
from limpid.stages.recipe import Recipe
from limpid.stages.reward import reward


def parts(run: Path) -> dict[str, torch.Tensor]:
    return dict(store.read(run, Model, merge=False).model.named_parameters())


def check(begin: Path, whole: Path, part: Path, head: str = "none", prefix: str = "") -> None:
    """Base weights are those of ``begin``, adapters have moved, and both runs are the same."""
    before, after, again = parts(begin), parts(whole), parts(part)
    assert any(bool(p.detach().any()) for name, p in after.items() if name.endswith(".b"))
    for name, parameter in after.items():
        assert torch.equal(parameter, again[name]), name
        if not is_adapter(name) and not name.startswith(head):
            assert torch.equal(parameter, before[name.removeprefix(prefix)]), name


def cut(whole: Path, part: Path, step: int) -> None:
    shutil.copytree(whole, part)
    (part / "summary.json").unlink()
    for other in store.steps_of(part):
        if other > step:
            shutil.rmtree(store.checkpoint_path(part, other))


@pytest.mark.parametrize("name", ["grpo", "ppo", "ppo shared"])
def test_rewards(tmp_path: Path, source: Path, name: str) -> None:  # noqa: F811
    stage = name.split()[0]
    more = {"value": "shared"} if name == "ppo shared" else {}
    table = SMALL | {stage: RL | more, "lora": {"rank": 2, "lr": 1e-2}}
    run = {"grpo": grpo, "ppo": ppo}[stage]
    recipe = parse(Recipe, table, "small")
    events = list(run(recipe, source, tmp_path / "whole", ALONE))
    assert isinstance(events[0], Started)
    assert "parameters are trained" in events[0].note
    cut(tmp_path / "whole", tmp_path / "part", 5)
    list(run(recipe, source, tmp_path / "part", ALONE, resume=True))
    check(source, tmp_path / "whole", tmp_path / "part")


@pytest.mark.parametrize("stage", ["reward", "dpo"])
def test_pairs(tmp_path: Path, pairs: Path, corpus: Path, saved_run: Path, stage: str) -> None:  # noqa: F811
    recipe = recipe_for(pairs, corpus, reward={"epochs": 1, "baselines": False}, dpo={"epochs": 1})
    recipe = recipe.model_copy(update={"lora": LoraSection(rank=2, dropout=0.1)})
    run = {"reward": reward, "dpo": dpo}[stage]
    list(run(recipe, saved_run, tmp_path / "whole", ALONE))
    cut(tmp_path / "whole", tmp_path / "part", 4)
    list(run(recipe, saved_run, tmp_path / "part", ALONE, resume=True))
    prefix = "backbone." if stage == "reward" else ""
    check(
        saved_run, tmp_path / "whole", tmp_path / "part", head="head." if stage == "reward" else "none", prefix=prefix
    )
