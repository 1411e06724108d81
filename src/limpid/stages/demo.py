"""The whole line: tokenizer -> pretraining -> fine-tuning -> reward model -> RL -> report; finished stages are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text, ensure_directory
from limpid.core.recipe import saved, written
from limpid.parallel.environment import World
from limpid.stages.events import Event, Finished
from limpid.stages.grpo import grpo
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.stages.reward import reward
from limpid.stages.sft import sft
from limpid.stages.tokenize import tokenize


def demo(recipe: Recipe, out: Path, world: World) -> Iterator[Event]:
    """Run every stage that is not finished in ``out``; a stage that was cut short continues where it stopped.

    Raises:
        LimpidError: ``out`` holds a demo of another recipe.
    """
    ensure_directory(out)
    _claim(recipe, out)
    tokenizer = out / "tokenizer" / "tokenizer.json"
    line: list[tuple[str, Iterator[Event]]] = [
        ("tokenizer", tokenize(recipe, out / "tokenizer")),
        ("pretrain", pretrain(recipe, out / "pretrain", world, resume=True, tokenizer_path=tokenizer)),
        ("sft", sft(recipe, out / "pretrain", out / "sft", world, resume=True)),
        ("reward", reward(recipe, out / "sft", out / "reward", world, resume=True)),
        ("grpo", grpo(recipe, out / "sft", out / "grpo", world, resume=True, reward_model=out / "reward")),
    ]
    for stage, events in line:
        finished = out / stage / "summary.json"
        if finished.exists():
            yield Finished(stage, json.loads(finished.read_text(encoding="utf-8")))
        else:
            yield from events


def _claim(recipe: Recipe, out: Path) -> None:
    path, text = out / "recipe.toml", written("demo", recipe)
    if not path.exists():
        atomic_write_text(path, text)
    elif saved(path, type(recipe)) != text:
        raise LimpidError(f"{out} holds a demo made with another recipe; give another --out, or delete that folder.")
