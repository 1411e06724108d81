"""``limpid tokenize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tokenize(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; [data] and [tokenizer] are read.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; runs/RECIPE/tokenizer unless given.")] = None,
    text: Annotated[str | None, typer.Option(help="Show the tokens of this text as well.")] = None,
) -> None:
    """Train a tokenizer on a corpus and see what it does to a text."""
    from rich.console import Console
    from rich.text import Text

    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.tokenize import pieces
    from limpid.stages.tokenize import tokenize as stage
    from limpid.text.tokenizer import Tokenizer

    folder = out or run_folder(recipe, "tokenizer")
    (finished,) = run_stage("tokenizer", recipe, overrides, folder, lambda loaded, where, world: stage(loaded, where))
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    console = Console(highlight=False)
    examples = [(text, pieces(tokenizer, text))] if text else []
    for sentence, tokens in [*((e["text"], e["tokens"]) for e in finished.summary["example"]), *examples]:
        shown = Text.assemble(f"{len(tokens):3d} tokens  ", (sentence, "bold"), "\n            ")
        for number, token in enumerate(tokens):
            shown.append(
                token.replace("\n", "⏎").replace(" ", "·"), "black on cyan" if number % 2 else "black on white"
            )
        console.print(shown)
