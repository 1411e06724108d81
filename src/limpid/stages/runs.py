"""What lies in a folder of runs, told from small files only; no model is loaded."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.logging import json_lines
from limpid.stages.sitting import read_sitting

MARKS = ("recipe.toml", "summary.json", "metrics.jsonl", "checkpoints")
"""A folder with any of these is a run."""

OF_EVERY_STEP = {
    "step", "loss", "grad_norm", "learning_rate", "tokens", "seconds", "tokens_per_second", "memory_bytes",
    "utilisation",
}  # fmt: skip
"""What the metrics say of a step, whatever the stage; the rest are the stage's own measures."""


class Digest(NamedTuple):
    """What a run's metrics come to. newest: the last value of every name. best_bits: the least
    ``validation_bits_per_byte``."""

    step: int | None
    best_bits: float | None
    newest: dict[str, float]


def find_runs(place: Path) -> Iterator[Path]:
    """The runs at ``place``, in it, and one floor below (runs/RECIPE/STAGE)."""
    if is_run(place):
        yield place
    for below in ("*", "*/*"):
        yield from (path for path in sorted(place.glob(below)) if is_run(path))


def describe(run: Path, place: Path, digest: Digest | None = None) -> dict[str, Any]:
    """One run in plain values; what its files do not tell is None.

    digest: of its metrics, where they have been read already. state: running, finished, failed (``reason`` says why) or
    interrupted.
    """
    summary, recipe = read_json(run / "summary.json"), read_recipe(run)
    done = bool(summary) or (run / "report.json").is_file()  # a line of stages ends with its report
    if digest is None:
        digest = _digest(_metrics(run))
    sitting = read_sitting(run)
    reason = None if done else sitting.get("error")
    files = [run, *(run / mark for mark in MARKS)]
    newest = _measures(digest)
    rewards = {name: value for name, value in newest.items() if "reward" in name}  # which no summary repeats
    return {
        "name": str(run.relative_to(place)) if run != place else run.name,
        "path": str(run),
        "stage": summary.get("stage") or stage_of(run),
        "step": summary.get("steps") or max([*filter(None, [digest.step]), *checkpoint_steps(run)], default=None),
        "steps": summary.get("steps") or sitting.get("steps") or recipe.get("train", {}).get("steps"),
        "parameters": summary.get("parameters") or _parameters(run),
        "validation_bits_per_byte": (
            summary.get("validation_bits_per_byte") if digest.best_bits is None else digest.best_bits
        ),
        "measures": rewards | concluded if (concluded := _concluded(summary)) else newest,
        "changed": max(path.stat().st_mtime for path in files if path.exists()),
        "state": "running" if is_locked(run) else "finished" if done else "failed" if reason else "interrupted",
        "reason": reason,
    }


def _concluded(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What the stage measured at its end, by name: {"value"} and, where it has an interval, {"low", "high"}."""
    measures = summary.get("measures")
    found = measures.items() if isinstance(measures, dict) else ()
    return {name: value for name, value in found if isinstance(value, dict) and is_number(value.get("value"))}


def _measures(digest: Digest) -> dict[str, dict[str, float]]:
    """The newest value of each of a stage's own measures; of a run that has none yet, its loss."""
    found = {
        name.replace("_", " "): {"value": value} for name, value in digest.newest.items() if name not in OF_EVERY_STEP
    }
    ordered = sorted(found, key=lambda name: ("reward" not in name, not name.startswith("validation"), name))
    loss = digest.newest.get("loss")
    return {name: found[name] for name in ordered} or ({"loss": {"value": loss}} if loss is not None else {})


def _digest(records: list[dict[str, Any]]) -> Digest:
    newest: dict[str, float] = {}
    for record in records:
        newest |= {name: value for name, value in record.items() if name != "step" and is_number(value)}
    bits = [r["validation_bits_per_byte"] for r in records if is_number(r.get("validation_bits_per_byte"))]
    return Digest(max((r["step"] for r in records), default=None), min(bits, default=None), newest)


def is_run(path: Path) -> bool:
    return path.is_dir() and any((path / mark).exists() for mark in MARKS)


def is_locked(run: Path) -> bool:
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


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_recipe(run: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stage_of(run: Path) -> str | None:
    """From the recipe's first line (``# limpid pretrain``), or the state of a checkpoint."""
    try:
        first = (run / "recipe.toml").read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError):
        first = ""
    if first.startswith("# limpid "):
        return first.removeprefix("# limpid ").strip()
    states = [read_json(path) for path in sorted(run.glob("checkpoints/step-*/state.json"))]
    return states[-1].get("stage") if states else None


def _metrics(run: Path) -> list[dict[str, Any]]:
    """The readable records of metrics.jsonl; a damaged line hides no other."""
    try:
        lines = json_lines((run / "metrics.jsonl").read_text(encoding="utf-8", errors="replace"))
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


def checkpoint_steps(run: Path) -> list[int]:
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


def is_number(value: object) -> bool:
    return isinstance(value, int | float)
