"""What the training verbs share: recipe -> processes -> stage -> screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from limpid.cli.show import show
from limpid.core.paths import run_folder
from limpid.core.recipe import load
from limpid.parallel.environment import World, enter, leave
from limpid.stages.events import Event, Finished
from limpid.stages.recipe import Recipe


def run_stage(
    stage: str,
    recipe: str,
    overrides: list[str] | None,
    out: Path | None,
    start: Callable[[Recipe, Path, World], Iterator[Event]],
) -> list[Finished]:
    """Load the recipe, join the other processes if torchrun started any, run, and show."""
    loaded = load(Recipe, recipe, overrides or [])
    world = enter(loaded.train.device)
    console = Console(highlight=False)
    folder = out or run_folder(recipe, stage)
    try:
        finished = show(start(loaded, folder, world), console, leads=world.leads)
    finally:
        leave()
    if world.leads:
        console.print(f"The run is in {folder}", soft_wrap=True)
    return finished
