"""``limpid runs``: what lies in the runs folder. Reads small files only; no model is loaded."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from limpid.core.errors import LimpidError, did_you_mean

MARKS = ("recipe.toml", "summary.json", "metrics.jsonl", "checkpoints")
"""A folder with any of these is a run."""

OF_EVERY_STEP = {"step", "loss", "grad_norm", "learning_rate", "tokens", "seconds", "tokens_per_second"}
"""What the metrics say of a step, whatever the stage; the rest are the stage's own measures."""
SHOWN = 3
"""Measures of a run in the table; a run listed alone shows all."""


def runs(
    folder: Annotated[
        Path | None, typer.Argument(help="A run, or a folder of runs; ./runs (or LIMPID_RUNS_DIR) unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs, or show one."""
    from limpid.core.paths import runs_dir

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


def find_runs(place: Path) -> Iterator[Path]:
    """The runs at ``place``, in it, and one floor below (runs/RECIPE/STAGE)."""
    if _is_run(place):
        yield place
    for below in ("*", "*/*"):
        yield from (path for path in sorted(place.glob(below)) if _is_run(path))


def describe(run: Path, place: Path) -> dict[str, Any]:
    """One run in plain values; what its files do not tell is None."""
    summary, recipe = _json(run / "summary.json"), _recipe(run)
    done = bool(summary) or (run / "report.json").is_file()  # a line of stages ends with its report
    metrics = _metrics(run)
    files = [run, *(run / mark for mark in MARKS)]
    newest = _newest(metrics)
    rewards = {name: value for name, value in newest.items() if "reward" in name}  # which no summary repeats
    return {
        "name": str(run.relative_to(place)) if run != place else run.name,
        "path": str(run),
        "stage": summary.get("stage") or _stage(run),
        "step": summary.get("steps") or max([*(m["step"] for m in metrics), *_checkpoints(run)], default=None),
        "steps": summary.get("steps") or recipe.get("train", {}).get("steps"),
        "parameters": summary.get("parameters") or _parameters(run),
        "validation_bits_per_byte": min(
            (m["validation_bits_per_byte"] for m in metrics if _is_number(m.get("validation_bits_per_byte"))),
            default=summary.get("validation_bits_per_byte"),
        ),
        "measures": rewards | concluded if (concluded := _concluded(summary)) else newest,
        "changed": max(path.stat().st_mtime for path in files if path.exists()),
        "state": "running" if _is_locked(run) else "finished" if done else "interrupted",
    }


def _print(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("name", style="bold", overflow="fold")
    table.add_column("stage")
    table.add_column("steps", justify="right")
    table.add_column("parameters", justify="right")
    table.add_column("measures")
    table.add_column("changed", justify="right")
    table.add_column("state")
    colours = {"running": "cyan", "finished": "green", "interrupted": "yellow"}
    for run in found:
        of = f" / {run['steps']:,}" if run["steps"] and run["step"] != run["steps"] else ""
        table.add_row(
            run["name"],
            run["stage"] or "-",
            f"{run['step']:,}{of}" if run["step"] is not None else "-",
            f"{run['parameters'] / 1e6:.2f}M" if run["parameters"] else "-",
            "\n".join(f"{name} {_value(found)}" for name, found in list(run["measures"].items())[:SHOWN]) or "-",
            _ago(time.time() - run["changed"]),
            f"[{colours[run['state']]}]{run['state']}[/]",
        )
    console = Console()
    console.print(table)
    if len(found) == 1 and len(measures := found[0]["measures"]) > SHOWN:
        everything = Table("measure", header_style="bold")
        everything.add_column("value", justify="right")
        everything.add_column("95% interval", justify="right")
        for name, value in measures.items():
            low, high = (value.get(end) for end in ("low", "high"))
            interval = f"{low:.3f} to {high:.3f}" if _is_number(low) and _is_number(high) else ""
            everything.add_row(name, _value(value), interval)
        console.print(everything)


def _concluded(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What the stage measured at its end, by name: {"value"} and, where it has an interval, {"low", "high"}."""
    measures = summary.get("measures")
    found = measures.items() if isinstance(measures, dict) else ()
    return {name: value for name, value in found if isinstance(value, dict) and _is_number(value.get("value"))}


def _newest(metrics: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The newest value of each of a stage's own measures; of a run that has none yet, its loss."""
    found: dict[str, dict[str, float]] = {}
    for record in metrics:
        for name in record.keys() - OF_EVERY_STEP:
            if _is_number(record[name]):
                found[name.replace("_", " ")] = {"value": record[name]}
    losses = [record["loss"] for record in metrics if _is_number(record.get("loss"))]
    ordered = sorted(found, key=lambda name: ("reward" not in name, not name.startswith("validation"), name))
    return {name: found[name] for name in ordered} or ({"loss": {"value": losses[-1]}} if losses else {})


def _value(measure: dict[str, float]) -> str:
    return f"{measure['value']:.3f}"


def _is_run(path: Path) -> bool:
    return path.is_dir() and any((path / mark).exists() for mark in MARKS)


def _is_locked(run: Path) -> bool:
    """Whether a process holds the run's lock. A shared lock is tried and given back at once."""
    try:
        handle = os.open(run / ".lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _recipe(run: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _stage(run: Path) -> str | None:
    """From the recipe's first line (``# limpid pretrain``), or the state of a checkpoint."""
    try:
        first = (run / "recipe.toml").read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError):
        first = ""
    if first.startswith("# limpid "):
        return first.removeprefix("# limpid ").strip()
    states = [_json(path) for path in sorted(run.glob("checkpoints/step-*/state.json"))]
    return states[-1].get("stage") if states else None


def _metrics(run: Path) -> list[dict[str, Any]]:
    """The readable records of metrics.jsonl; a damaged line hides no other."""
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records


def _checkpoints(run: Path) -> list[int]:
    names = (path.parent.name.removeprefix("step-") for path in run.glob("checkpoints/step-*/checksums.json"))
    return sorted(int(name) for name in names if name.isdigit())


def _parameters(run: Path) -> int | None:
    """Counted in the header of the newest checkpoint written by one process: 8 bytes of length, then JSON."""
    files = sorted(run.glob("checkpoints/step-*/model.safetensors"))
    if not files:
        return None
    try:
        with files[-1].open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, 100_000_000)))
        return sum((t["data_offsets"][1] - t["data_offsets"][0]) // 4 for n, t in header.items() if n != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
