"""``limpid classify``: train a classifier, or ask one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limpid.cli import answering
from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from limpid.inference.classifier import Prediction

classify = typer.Typer(no_args_is_help=True, add_completion=False, help="Turn a pretrained model into a classifier.")

ROWS = 64
"""Lines of standard input that are answered together."""


@classify.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe or a .toml file; its [classify] section is read.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, for example classify.path=mine.csv.")
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The pretrained run; runs/RECIPE/pretrain.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/RECIPE/classify unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, bit for bit.")] = False,
) -> None:
    """Train a pretrained model on labelled texts, and measure it beside a linear model on n-grams."""
    from rich.console import Console
    from rich.table import Table

    from limpid.cli.stage import run_stage
    from limpid.core.paths import run_folder
    from limpid.stages.classify import classify as stage
    from limpid.stages.classify_report import measure_rows

    begin = source or run_folder(recipe, "pretrain")
    finished = run_stage(
        "classify",
        recipe,
        overrides,
        out,
        lambda loaded, folder, world: stage(loaded, begin, folder, world, resume=resume),
    )
    for event in finished:
        table = Table("measure", "this model", event.summary.get("baseline", {}).get("name", ""), header_style="bold")
        for row in measure_rows(event.summary):
            table.add_row(*row)
        Console(highlight=False).print(table)


@classify.command()
def predict(
    run: answering.Run,
    text: Annotated[
        str | None, typer.Option(help="The text, or the context of choices. Without it, lines of standard input.")
    ] = None,
    second: Annotated[str | None, typer.Option(help="The second text of a pair.")] = None,
    choice: Annotated[list[str] | None, typer.Option(help="A choice; give two or more.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
) -> None:
    """Name the class of a text, with the probability of each.

    Lines of standard input are a text each; the texts of a pair, or a context and its choices, are parted by tabs.
    """
    from limpid.stages.classify import load_classifier

    if text is None and (second is not None or choice):
        raise LimpidError("--second and --choice go with --text.")
    classifier = load_classifier(answering.run_path(run), device=device, dtype=dtype)
    if text is not None:
        texts = (text, *([second] if second is not None else []), *(choice or ()))
        _print(classifier.predict([texts])[0], as_json)
        return
    for lines in _groups():
        examples = [(line,) if classifier.form == "single" else tuple(line.split("\t")) for line in lines]
        for prediction in classifier.predict(examples):
            _print(prediction, as_json)


def _groups() -> Iterator[list[str]]:
    """The lines of standard input, some at a time; on a terminal one at a time, since its user waits for the answer."""
    group: list[str] = []
    size = 1 if sys.stdin.isatty() else ROWS
    for number, raw in enumerate(sys.stdin.buffer, start=1):
        try:
            group.append(raw.decode("utf-8").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise LimpidError(f"line {number} is not UTF-8 (at its byte {error.start}); convert it first.") from None
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _print(prediction: Prediction, as_json: bool) -> None:
    """The label, then each class with its probability, most probable first."""
    if as_json:
        answering.write(json.dumps(prediction._asdict(), ensure_ascii=False) + "\n")
        return
    shares = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    shown = "  ".join(f"{answering.harmless(name)} {share:.3f}" for name, share in shares)
    answering.write(f"{answering.harmless(prediction.label)}\t{shown}".rstrip() + "\n")
