"""``limpid skipgram``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def skipgram(
    recipe: Annotated[str, typer.Argument(help="'words', or a .toml file with [data], [tokenizer] and [skipgram].")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example data.path=my.txt")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; runs/RECIPE/skipgram unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Learn word vectors from a text; `limpid embed` opens them."""
    from rich.console import Console

    from limpid.cli.show import show
    from limpid.core.paths import run_folder
    from limpid.core.recipe import load
    from limpid.parallel.hardware import keep_memory
    from limpid.stages.skipgram import WordsRecipe
    from limpid.stages.skipgram import skipgram as stage

    console = Console(highlight=False)
    folder = out or run_folder(recipe, "skipgram")
    keep_memory()
    show(stage(load(WordsRecipe, recipe, overrides or []), folder, resume=resume), console)
    console.print(f"The vectors are in {folder}; look at them with: limpid embed {folder} neighbours WORD")
