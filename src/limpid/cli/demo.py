"""``limpid demo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from limpid.cli import browser
from limpid.cli.serve import serve

SERVED = {"grpo": "demo", "sft": "fine-tuned", "pretrain": "pretrained"}
"""The stages whose models the page shows at the end, and their names there."""


def demo(
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, laid over the demo recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/demo unless given.")] = None,
    recipe: Annotated[str, typer.Option(help="Another recipe to take through all the stages.")] = "demo",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="When it is done, do not serve the models and open their page.")
    ] = False,
) -> None:
    """The whole line on this machine: tokenizer, pretraining, fine-tuning, reward model, RL, report.

    A rerun continues.

    On a desktop the models are served at the end and their page is opened, until Ctrl-C.
    """
    from rich.console import Console

    from limpid.cli.show import show
    from limpid.core.paths import runs_dir
    from limpid.core.recipe import load
    from limpid.parallel.environment import enter, leave
    from limpid.stages.demo import demo as line
    from limpid.stages.recipe import Recipe
    from limpid.stages.report import render_terminal, write_report

    loaded = load(Recipe, recipe, overrides or [])
    folder = out or runs_dir() / Path(recipe).stem
    console = Console(highlight=False)
    world = enter(loaded.train.device)
    try:
        finished = show(line(loaded, folder, world), console, leads=world.leads)
    finally:
        leave()
    if not world.leads:
        return
    report = write_report(folder, sum(event.summary["seconds"] for event in finished))
    console.print(render_terminal(report))
    console.print(f"The report, with curves: {folder / 'report.html'}")
    console.print(f"Talk to it:  limpid chat {folder}")
    if not no_browser and sys.stdout.isatty() and browser.there_is_one():
        console.print("Or in the browser, every number open, until Ctrl-C:")
        serve([f"{name}={folder / stage}" for stage, name in SERVED.items()], port=0, runs_folder=folder.parent)
