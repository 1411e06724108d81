"""``limpid sft``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sft(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [sft] section is read.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example sft.path=mine.jsonl.")
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The pretrained run; runs/RECIPE/pretrain.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/sft unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Fine-tune a pretrained model on conversations, so that it answers."""
    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.sft import sft as stage

    begin = source or run_folder(recipe, "pretrain")
    run_stage(
        "sft", recipe, overrides, out, lambda loaded, folder, world: stage(loaded, begin, folder, world, resume=resume)
    )
