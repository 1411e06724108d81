"""``limpid ppo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ppo(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [ppo] section is read.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, for example ppo.kl=0.1.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The fine-tuned run; runs/RECIPE/sft.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/ppo unless given.")] = None,
    reward_model: Annotated[
        Path | None, typer.Option("--reward-model", help="A run of limpid reward, instead of the recipe's rewards.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Improve a chat model by PPO: a value model, clipped updates, the divergence in the reward."""
    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.ppo import ppo as stage

    begin = source or run_folder(recipe, "sft")
    run_stage(
        "ppo",
        recipe,
        overrides,
        out,
        lambda loaded, folder, world: stage(loaded, begin, folder, world, resume=resume, reward_model=reward_model),
    )
