"""``limpid data``: the catalogue as a table, fetching from it, and a look at what a stage learns from."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from limpid.cli.inspect_data import inspect
from limpid.data.catalogue import CATALOGUE, Entry, RemoteFile, download_folder, find_entry, find_layout
from limpid.data.fetch import Progress as Report
from limpid.data.fetch import fetch, is_fetched

data = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    help="List the catalogue of data sets, fetch one, or inspect what a recipe's stages learn from, token by token. "
    "A name of the catalogue can stand as data.path= of any recipe.",
)
data.command("inspect")(inspect)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@data.callback()
def list_catalogue(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the catalogue of data sets, or fetch one. A name of it can stand as data.path= of any recipe."""
    if ctx.invoked_subcommand is not None:
        return
    if as_json:
        typer.echo(json.dumps([_as_json(entry) for entry in CATALOGUE], ensure_ascii=False, indent=2))
        return
    table = Table(header_style="bold", show_lines=True)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("what, under which licence, from where", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("here", no_wrap=True)
    for entry in CATALOGUE:
        about = f"{entry.title} ({', '.join(entry.languages)})\n[dim]{entry.licence}[/dim]"
        if entry.files:
            about += f"\n[dim]{_origin(entry)}\nsha256 {_digests(entry)}[/dim]"
        table.add_row(entry.name, about, _size(entry.size_bytes) if entry.files else "-", _here(entry))
    Console().print(table)
    typer.echo(f"Fetch one with: limpid data fetch NAME   (into {download_folder()}; addresses in full: --json)")


@data.command("fetch")
def fetch_one(name: Annotated[str, typer.Argument(help="A name of the catalogue.")], as_json: AsJson = False) -> None:
    """Fetch a data set, if it is not here: resumed after a cut, checked against its sha256."""
    entry = find_entry(name)
    place = _here(entry)
    if place == "no":
        with _progress(entry) as report:
            fetch(entry, report)
    if as_json:
        typer.echo(json.dumps(_as_json(entry), ensure_ascii=False, indent=2))
    elif not entry.files:
        typer.echo(f"{name} is built in: there is nothing to fetch.")
    elif place == "LIMPID_DATA_DIR":
        typer.echo(f"{name} is in LIMPID_DATA_DIR: there is nothing to fetch.")
    else:
        typer.echo(f"{name} is in {download_folder()}.")


@contextmanager
def _progress(entry: Entry) -> Iterator[Report]:
    """Bars on a terminal; elsewhere a line a file."""
    console = Console(stderr=True)
    if not console.is_terminal:
        seen: set[str] = set()

        def line(file: RemoteFile, done: int, total: int | None) -> None:
            if file.path not in seen:
                seen.add(file.path)
                print(f"[{len(seen)}/{len(entry.files)}] {file.path}", file=sys.stderr, flush=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}
        shown = 0.0

        def bar(file: RemoteFile, done: int, total: int | None) -> None:
            nonlocal shown
            if file.path not in tasks:
                for task in tasks.values():  # many files: only the one at work is shown
                    bars.update(task, visible=False)
                tasks[file.path] = bars.add_task(f"{len(tasks) + 1}/{len(entry.files)} {file.path}", total=total)
            if time.monotonic() - shown > 0.1 or done == total:
                shown = time.monotonic()
                bars.update(tasks[file.path], completed=done, total=total)

        yield bar


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "languages": list(entry.languages),
        "size_bytes": entry.size_bytes,
        "licence": entry.licence,
        "recipes": list(entry.recipes),
        "here": _here(entry),
        "files": [{"url": f.url, "sha256": f.sha256, "bytes": f.bytes, "path": f.path} for f in entry.files],
    }


def _here(entry: Entry) -> str:
    if not entry.files:
        return "built in"
    if is_fetched(entry):
        return "fetched"
    return "LIMPID_DATA_DIR" if find_layout(entry) is not None else "no"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _origin(entry: Entry) -> str:
    """The repository and the commit (short) that the files come from, and how many they are."""
    scheme, _, host, owner, repository, commit, *_ = entry.files[0].url.split("/")
    count = f", {len(entry.files)} files" if len(entry.files) > 1 else ""
    return f"{scheme}//{host}/{owner}/{repository}/{commit[:7]}{count}"


def _digests(entry: Entry) -> str:
    known = [file.sha256[:8] for file in entry.files if file.sha256]
    if not known:
        return "not published"
    unknown = len(entry.files) - len(known)
    more = f" +{len(known) - 1}" if len(known) > 1 else ""
    return f"{known[0]}{more}" + (f", {unknown} not published" if unknown else "")
