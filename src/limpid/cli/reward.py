"""``limpid reward``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reward(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [reward] section is read.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example reward.path=mine.jsonl.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="The run to start from, fine-tuned or not; runs/RECIPE/sft.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/reward unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Train a reward model on pairs of answers, and measure it beside length and words alone."""
    from rich.console import Console
    from rich.table import Table

    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.reward import reward as stage
    from limpid.stages.reward_report import measure_rows

    begin = source or run_folder(recipe, "sft")
    finished = run_stage(
        "reward",
        recipe,
        overrides,
        out,
        lambda loaded, folder, world: stage(loaded, begin, folder, world, resume=resume),
    )
    for event in finished:
        table = Table("measure", "held-out pairs", header_style="bold")
        for row in measure_rows(event.summary):
            table.add_row(*row)
        Console(highlight=False).print(table)
