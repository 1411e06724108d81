"""``limpid dpo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dpo(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [dpo] section is read.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, for example dpo.loss=ipo.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The fine-tuned run; runs/RECIPE/sft.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/dpo unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Improve a chat model on pairs of answers directly, without a reward model: DPO, IPO, KTO or ORPO."""
    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.dpo import dpo as stage

    begin = source or run_folder(recipe, "sft")
    run_stage(
        "dpo", recipe, overrides, out, lambda loaded, folder, world: stage(loaded, begin, folder, world, resume=resume)
    )
