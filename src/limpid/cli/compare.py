"""``limpid compare``: several runs asked the same questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli import answering
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from rich.table import Table


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Two runs or more, the one before first; NAME=RUN gives one a name.")
    ],
    judge: Annotated[
        str | None, typer.Option(help="A reward model (a run of limpid reward) that none of the runs was trained by.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts of your own: a line each, or JSONL with prompt and perhaps answer.")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, help="Without --prompts: how many held-out questions.")] = 300,
    temperature: answering.Temperature = 0.0,
    max_tokens: answering.MaxTokens = 64,
    text_tokens: Annotated[int, typer.Option(min=0, help="Of the pretraining test text, to read (0: all).")] = 32_768,
    seed: Annotated[int, typer.Option(help="Draws the questions; that of the runs' recipes.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The folder of the page and its numbers; runs/compare.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
) -> None:
    """Ask several runs the same questions: who wins, by a judge and by what can be checked, and what was forgotten."""
    from rich.console import Console

    from limpid.core.paths import atomic_write_text, ensure_directory, runs_dir
    from limpid.stages.compare import Plan
    from limpid.stages.compare import compare as stage
    from limpid.stages.compare_html import render_html

    plan = Plan(
        answering.run_path(judge) if judge else None, prompts, questions, seed, temperature, max_tokens, text_tokens,
        device, dtype,
    )  # fmt: skip
    found: dict[str, Any] = {}
    with Console(stderr=True).status("loading") as status:
        for step in stage(_named(runs), plan):
            if isinstance(step, str):
                status.update(step)
            else:
                found = step
    folder = out or runs_dir() / "compare"
    ensure_directory(folder)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    atomic_write_text(folder / "compare.json", text + "\n")
    atomic_write_text(folder / "compare.html", render_html(found))
    if as_json:
        typer.echo(text)
        return
    console = Console(highlight=False)
    for table in _tables(found):
        console.print(table)
    console.print(f"The page is {folder / 'compare.html'}", soft_wrap=True)


def _named(runs: list[str]) -> dict[str, Path]:
    """Run by name: what stands before "=", else as little of the path as tells them apart."""
    given = [run.split("=", 1) if "=" in run and not Path(run).exists() else [None, run] for run in runs]
    paths = [answering.run_path(str(path)) for _, path in given]
    lengths = range(1, max((len(path.parts) for path in paths), default=1) + 1)
    short = next(
        (names for n in lengths if len(set(names := ["/".join(path.parts[-n:]) for path in paths])) == len(paths)),
        [str(path) for path in paths],
    )
    named = {name or other: path for (name, _), other, path in zip(given, short, paths, strict=True)}
    if len(named) < len(runs):
        raise LimpidError("two of the runs are the same, or have the same name; give each once, as NAME=RUN.")
    return named


def _tables(found: dict[str, Any]) -> list[Table]:
    from rich.table import Table

    from limpid.stages.compare_words import BITS, MEASURES, cells, change_text, win_text

    measures = Table("model", title=f"{found['questions']} questions: {found['prompts']}", header_style="bold")
    names = [name for name, _, _ in MEASURES if any(name in run["measures"] for run in found["runs"])]
    for name in names:
        measures.add_column(name, justify="right")
    for run in found["runs"]:
        row = []
        for name in names:
            measure = run["measures"].get(name)
            more = f" {change_text(run)}" if name == BITS else ""
            row.append("\n".join(cells(name, measure)) + more if measure else "–")
        measures.add_row(run["name"], *row)
    columns = [by for by in ("judge", "checked") if any(by in win for win in found["wins"])]
    if not columns:
        return [measures]
    wins = Table("win rate", title="Ties count half; 50% is a draw", header_style="bold")
    for by in columns:
        wins.add_column({"judge": "by the judge", "checked": "by what can be checked"}[by], justify="right")
    for win in found["wins"]:
        shown = [win_text(win[by]) if by in win else "–" for by in columns]
        wins.add_row(f"{win['run']} over {win['against']}", *shown)
    return [measures, wins]
