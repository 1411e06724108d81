"""``limpid runs``: what lies in the runs folder. Reads small files only; no model is loaded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.core.errors import LimpidError, did_you_mean

SHOWN = 3
"""Measures under a run; a run listed alone shows all."""

HEAD = ("name", "stage", "steps", "parameters", "changed", "state")
TO_THE_RIGHT = {"steps", "parameters", "changed"}
COLOURS = {"running": "cyan", "finished": "green", "interrupted": "yellow", "failed": "red"}


def runs(
    folder: Annotated[
        Path | None, typer.Argument(help="A run, or a folder of runs; ./runs (or LIMPID_RUNS_DIR) unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs, or show one."""
    from limpid.core.paths import runs_dir
    from limpid.stages.runs import describe, find_runs

    place = folder or runs_dir()
    if folder is not None and not folder.exists():
        place = runs_dir() / folder
        if not place.exists():
            known = [path.name for path in runs_dir().iterdir()] if runs_dir().is_dir() else []
            raise LimpidError(f"there is no run at {folder}.{did_you_mean(str(folder), known)}")
    found = [describe(path, place) for path in find_runs(place)]
    found.sort(key=lambda run: run["changed"], reverse=True)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(f"There are no runs in {place}. Make one: limpid demo, or limpid pretrain shakespeare")
    else:
        _print(found)


def _print(found: list[dict[str, Any]]) -> None:
    """A line for each run, and under it what it measured: so names stay whole on a narrow terminal."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from limpid.stages.runs import is_number

    console = Console(highlight=False)
    rows = [_facts(run) for run in found]
    widths = [max(cell_len(row[place]) for row in (HEAD, *rows)) for place in range(len(HEAD))]

    def line(row: tuple[str, ...], *styles: str) -> Text:
        cells = [
            " " * (width - cell_len(word)) + word if name in TO_THE_RIGHT else set_cell_size(word, width)
            for name, word, width in zip(HEAD, row, widths, strict=True)
        ]
        return Text("  ").join(Text(cell, style) for cell, style in zip(cells, styles, strict=True))

    console.print(line(HEAD, *("bold",) * len(HEAD)), soft_wrap=True)
    for run, row in zip(found, rows, strict=True):
        console.print(line(row, "bold", "", "", "", "", COLOURS[run["state"]]), soft_wrap=True)
        shown = [f"{name} {_value(value)}" for name, value in list(run["measures"].items())[:SHOWN]]
        for words in [*_folded(shown, console.width - 2), *filter(None, [(run["reason"] or "")[:200]])]:
            console.print(Padding(Text(words, "dim"), (0, 0, 0, 2), expand=False))
    if len(found) == 1 and len(measures := found[0]["measures"]) > SHOWN:
        everything = Table("measure", header_style="bold")
        everything.add_column("value", justify="right")
        everything.add_column("95% interval", justify="right")
        for name, value in measures.items():
            low, high = (value.get(end) for end in ("low", "high"))
            interval = f"{low:.3f} to {high:.3f}" if is_number(low) and is_number(high) else ""
            everything.add_row(name, _value(value), interval)
        console.print(everything)


def _facts(run: dict[str, Any]) -> tuple[str, ...]:
    """The words under `HEAD`."""
    of = f" / {run['steps']:,}" if run["steps"] and run["step"] != run["steps"] else ""
    return (
        run["name"],
        run["stage"] or "-",
        f"{run['step']:,}{of}" if run["step"] is not None else "-",
        f"{run['parameters'] / 1e6:.2f}M" if run["parameters"] else "-",
        _ago(time.time() - run["changed"]),
        run["state"],
    )


def _folded(measures: list[str], width: int) -> list[str]:
    """The measures side by side, on as many lines as they need whole."""
    lines: list[str] = []
    for measure in measures:
        if lines and len(joined := f"{lines[-1]} · {measure}") <= width:
            lines[-1] = joined
        else:
            lines.append(measure)
    return lines


def _value(measure: dict[str, float]) -> str:
    return f"{measure['value']:.3f}"


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
