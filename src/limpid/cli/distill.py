"""``limpid distill``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def distill(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [distill] section is read.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example distill.method=answers.")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="The run that teaches; the same as distill.teacher=.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="The student's run; unless given, a fresh model of the recipe.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/distill unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Train a smaller model on what a larger one knows: its probabilities, or its answers."""
    from limpid.cli.answering import run_path
    from limpid.cli.stage import run_stage
    from limpid.stages.distill import distill as stage

    given = list(overrides or [])
    if teacher is not None:
        given.append(f'distill.teacher="{run_path(teacher)}"')
    run_stage(
        "distill", recipe, given, out, lambda loaded, folder, world: stage(loaded, source, folder, world, resume=resume)
    )
