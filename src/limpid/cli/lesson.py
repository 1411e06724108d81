"""``limpid lesson``: the ideas behind it all, each as a program that one reads, runs and changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.core.errors import LimpidError

if TYPE_CHECKING:
    from limpid.lessons.lesson import Lesson

LANGUAGES = ("en", "zh")


def lesson(
    name: Annotated[str | None, typer.Argument(help="Which; without it all are listed.", show_default=False)] = None,
    values: Annotated[
        list[str] | None, typer.Argument(help="Your own values: temperature=0.5", show_default=False)
    ] = None,
    lang: Annotated[str, typer.Option(help="en, zh, or auto: the terminal's language.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print it, with its outputs and pictures, as JSON.")] = False,
    notebook: Annotated[Path | None, typer.Option(help="Write it as a Jupyter notebook instead.")] = None,
    code: Annotated[bool, typer.Option("--code", help="Print its program instead.")] = False,
) -> None:
    """Run a lesson: prose, code, and what the code prints."""
    from limpid.lessons import book

    language = _language(lang)
    if name is None:
        if notebook or code:
            raise LimpidError("Which lesson? `limpid lesson` lists them.")
        return _list(language, as_json)
    given = book.find(name).given(_values(values or []))
    if notebook is not None:
        from limpid.core.paths import atomic_write_text
        from limpid.lessons.notebook import notebook as as_notebook

        atomic_write_text(notebook, as_notebook(given, language))
        return print(f"wrote {notebook}")
    if code:
        return print(given.program(), end="")
    return _run_json(given) if as_json else _run(given, language)


def _language(wanted: str) -> str:
    if wanted == "auto":
        spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
        return "zh" if spoken.startswith("zh") else "en"
    if wanted not in LANGUAGES:
        raise LimpidError(f"--lang {wanted}: the lessons are in {' and '.join(LANGUAGES)}.")
    return wanted


def _values(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise LimpidError(f"'{one}' is no NAME=VALUE.")
        found[name.strip()] = value
    return found


def _list(language: str, as_json: bool) -> None:
    from limpid.lessons import book

    if as_json:
        found = [
            {"name": name, "chapter": chapter.title._asdict(), "title": book.find(name).title._asdict(),
             "summary": book.find(name).summary._asdict(), "inputs": list(book.find(name).inputs)}
            for chapter in book.CHAPTERS for name in chapter.names
        ]  # fmt: skip
        return print(json.dumps(found, ensure_ascii=False, indent=2))
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for chapter in book.CHAPTERS:
        table.add_row(f"[bold]{chapter.title.of(language)}[/]")
        for name in chapter.names:
            table.add_row(f"  [cyan]{name}[/]", book.find(name).title.of(language))
    Console(highlight=False).print(table)
    return print("\nlimpid lesson NAME")


def _run(given: Lesson, language: str) -> None:
    from rich.console import Console

    from limpid.lessons.on_terminal import heading, shown
    from limpid.lessons.running import run

    console = Console(highlight=False, width=min(Console().width, 110))
    console.print(heading(given, language))
    values = {one.name: one.value for one in given.inputs.values()}
    for number, (step, outcome) in enumerate(zip(given.steps, run(given, values)), 1):  # noqa: B905 - a fault ends it
        console.print(shown(step, outcome, number, language))
        if outcome.fault:
            raise LimpidError(f"step {number} cannot be computed with these values: {outcome.fault}")


def _run_json(given: Lesson) -> None:
    from limpid.lessons.running import run
    from limpid.lessons.session import told

    values = {one.name: one.value for one in given.inputs.values()}
    steps: list[dict[str, Any]] = []
    for step, outcome in zip(given.steps, run(given, values)):  # noqa: B905 - a fault ends it
        steps.append({"title": step.title._asdict(), "prose": step.prose._asdict(), "code": step.code, **told(outcome)})
    print(json.dumps(
        {"name": given.name, "title": given.title._asdict(), "summary": given.summary._asdict(), "values": values,
         "steps": steps}, ensure_ascii=False, indent=2, allow_nan=False,
    ))  # fmt: skip
    if steps[-1]["fault"]:
        raise LimpidError(f"step {len(steps)} cannot be computed with these values: {steps[-1]['fault']}")
