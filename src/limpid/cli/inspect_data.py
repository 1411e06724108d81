"""``limpid data inspect``: the rows a stage learns from, on the screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from limpid.stages.shown_rows import Document, Inspection

STYLES = {"trained": "bold green", "masked": "dim"}
SHOWN = 5
"""Conversations named of those that were cut or left out."""


def inspect(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example sft.path=mine.jsonl.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Whose rows; unless given, the stage that the overrides speak of, or pretrain.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="The run whose tokenizer counts; runs/RECIPE/pretrain if it is there.")
    ] = None,
    step: Annotated[int, typer.Option(min=1, help="Which step.")] = 1,
    rows: Annotated[int, typer.Option(min=1, help="How many of its rows.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a stage learns from, token by token: trained, masked, packed, padded, cut off, left out."""
    from limpid.checkpoint import store
    from limpid.core.paths import run_folder
    from limpid.core.recipe import load
    from limpid.stages.inspect_data import STAGES, inspect_data
    from limpid.stages.recipe import Recipe

    loaded = load(Recipe, recipe, overrides or [])
    named = [override.partition(".")[0] for override in overrides or []]
    chosen = stage or next((name for name in reversed(named) if name in STAGES), "pretrain")
    usual = run_folder(recipe, "pretrain")
    begin = source or (usual if store.steps_of(usual) else None)
    found = inspect_data(loaded, chosen, begin, step=step - 1, rows=rows)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"step": step}, ensure_ascii=False, indent=1))
        return
    _print(found, begin)


def _print(found: Inspection, source: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    origin = f"of {source}" if source else "learnt anew"
    console.print(f"[bold]{found.stage}[/], context {found.context}, tokenizer {origin} ({found.tokenizer})")
    console.print(", ".join(f"{name} {count:,}" for name, count in found.counts.items()))
    for note in found.notes:
        console.print(note, style="dim")
    legend = Text.assemble(
        "tokens are parted by |; ", ("trained", STYLES["trained"]), " ", ("masked", STYLES["masked"])
    )
    console.print(legend)
    for row in found.rows:
        console.print(f"\n[bold]row {row.number + 1} of step {found.step + 1}[/]")
        for number, document in enumerate(row.documents, start=1):
            _print_document(console, number, document, packed=len(row.documents) > 1)
        if row.padding:
            console.print(f"  {row.padding} places of padding", style="dim")
    for name, unfit in (("lost its end", found.truncated), ("left out", found.dropped)):
        for each in unfit[:SHOWN]:
            console.print(f"{name}: {each.source}, {each.tokens} tokens: {each.why}", style="yellow")
        if len(unfit) > SHOWN:
            console.print(f"... and {len(unfit) - SHOWN} more; --json lists all", style="yellow")


def _print_document(console: Console, number: int, document: Document, *, packed: bool) -> None:
    from limpid.stages.shown_rows import runs

    trained = sum(token.state == "trained" for token in document.tokens)
    label = f" ({document.label})" if document.label else ""
    alone = ", which sees none of the others" if packed else ""
    console.print(f"  document {number}{label}{alone}: {len(document.tokens)} tokens, {trained} trained", style="cyan")
    for state, tokens in runs(document.tokens):
        line = Text(f"    {state:8}", style="")
        for place, token in enumerate(tokens):
            line.append("|" if place else "", style="dim")
            line.append(_visible(token.text), style=STYLES[state])
        console.print(line)


def _visible(text: str) -> str:
    """Line breaks and other characters that show nothing, shown."""
    seen = text.replace("\n", "\u21b5").replace("\t", "\u21e5").replace("\r", "\u240d")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in seen)
