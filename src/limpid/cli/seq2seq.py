"""``limpid seq2seq``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def seq2seq(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (translate-en-de-tiny ...) or a .toml file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example seq2seq.path=pairs.tsv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/seq2seq unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Train a translator (an encoder-decoder) on sentence pairs, and measure it by BLEU.

    Pairs are a file of two columns (seq2seq.path=pairs.tsv) or two files of which line n of one translates line n of
    the other (seq2seq.path='["train.en", "train.de"]').
    """
    from rich.console import Console

    from limpid.cli.stage import run_stage
    from limpid.stages.seq2seq import seq2seq as stage

    finished = run_stage(
        "seq2seq", recipe, overrides, out, lambda loaded, folder, world: stage(loaded, folder, world, resume=resume)
    )
    for event in finished:
        Console(highlight=False, soft_wrap=True).print(f"sacrebleu signature: {event.summary['signature']}")
