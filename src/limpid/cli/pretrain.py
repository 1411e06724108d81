"""``limpid pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (shakespeare, poems, demo ...) or a .toml file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, laid over the recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/pretrain unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Train a model on a corpus from a recipe.

    On several GPUs or nodes: torchrun --nproc-per-node N -m limpid pretrain RECIPE ...
    """
    from limpid.cli.stage import run_stage
    from limpid.stages.pretrain import pretrain as stage

    run_stage(
        "pretrain", recipe, overrides, out, lambda loaded, folder, world: stage(loaded, folder, world, resume=resume)
    )
