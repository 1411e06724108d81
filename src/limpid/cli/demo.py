"""``limpid demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value, laid over the demo recipe.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/demo unless given.")] = None,
    recipe: Annotated[str, typer.Option(help="Another recipe to take through all the stages.")] = "demo",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the report when it is done.")] = False,
) -> None:
    """The whole line on this machine: tokenizer, pretraining, fine-tuning, RL, report. A rerun continues."""
    import webbrowser

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
    if browser:
        webbrowser.open((folder / "report.html").resolve().as_uri())
