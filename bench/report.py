"""What every benchmark shares: the machine in words, paired runs in fresh processes, rows with targets, printing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
ROUNDS = 5
ANSWER = "bench-answer: "
"""A worker's last word: this, then one JSON object."""

console = Console(stderr=True, highlight=False, soft_wrap=True)  # progress; standard output is for the result


class Row(NamedTuple):
    """One line of a benchmark's table.

    limpid, rival: medians in ``unit``. ratio: median of the paired quotients limpid / rival, spread: the smallest and
    the largest of them. target: in words. met: None where it could not be judged.
    """

    name: str
    unit: str
    limpid: float | None
    rival: float | None = None
    rival_name: str | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: str | None = None
    met: bool | None = None


def single(
    name: str, unit: str, value: float | None, *, at_most: float | None = None, at_least: float | None = None
) -> Row:
    """A row without a rival, judged by a bound."""
    if at_most is None and at_least is None:
        return Row(name, unit, value)
    target = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    if value is None:
        return Row(name, unit, None, target=target)
    met = value <= at_most if at_most is not None else value >= (at_least or 0.0)
    return Row(name, unit, value, target=target, met=met)


def paired(
    name: str, unit: str, limpid: Sequence[float], rival: Sequence[float], rival_name: str, *, at_least: float | None
) -> Row:
    """A row from rounds in which both ran in turn: ``limpid[i]`` beside ``rival[i]``, larger is better."""
    ratios = [ours / theirs for ours, theirs in zip(limpid, rival, strict=True)]
    ratio = statistics.median(ratios)
    return Row(
        name,
        unit,
        statistics.median(limpid),
        statistics.median(rival),
        rival_name,
        ratio,
        (min(ratios), max(ratios)),
        None if at_least is None else f">= {at_least:g} x",
        None if at_least is None else ratio >= at_least,
    )


def absent(name: str, unit: str, limpid: float | None, rival_name: str, reason: str, target: str | None = None) -> Row:
    """A row whose rival is not on this machine."""
    return Row(name, unit, limpid, None, f"{rival_name} (rival absent: {reason})", target=target)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    flags = _cpu_flags()
    return {
        "cpu": _cpu_name(),
        "cores": _cores(),
        "amx": "amx_tile" in flags,
        "avx512_bf16": "avx512_bf16" in flags,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": _version("torch"),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_field(name: str) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == name), "")


def _cpu_name() -> str:
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    return set(_cpu_field("flags").split())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# Fresh processes ----------------------------------------------------------------------------------------------------


NOTHING_COMPILED = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
"""The environment in which compiling takes as long as on a machine that never did it before."""


class WorkerFailed(RuntimeError):
    """A measuring process ended badly; the message is the end of what it said."""


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: limpid and bench importable, one thread a core unless told otherwise."""
    paths = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    fixed = {"PYTHONPATH": os.pathsep.join(paths), "TOKENIZERS_PARALLELISM": "false"}
    return {"OMP_NUM_THREADS": str(_cores())} | dict(os.environ) | fixed | dict(extra or {})


def fresh(module: str, question: dict[str, Any], extra: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run ``python -m module --worker QUESTION`` and return what it answers through `answer`."""
    command = [sys.executable, "-m", module, "--worker", json.dumps(question)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment(extra))
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(ANSWER):
            answered: dict[str, Any] = json.loads(line.removeprefix(ANSWER))
            return answered
    said = (done.stderr or done.stdout).strip().splitlines()[-8:]
    raise WorkerFailed(f"{module} {question} ended with {done.returncode}: " + " | ".join(said))


def fastest(
    module: str, question: dict[str, Any], flags: Sequence[dict[str, Any]], key: str, unit: str
) -> dict[str, Any]:
    """The flags that ``question["system"]`` is fastest with, by the ``key`` of its worker's answer."""
    system = question["system"]
    tried: list[tuple[float, dict[str, Any]]] = []
    for some in flags:
        try:
            speed = fresh(module, question | {"flags": some})[key]
        except WorkerFailed as failure:
            console.print(f"  {system} {some}: failed, left out. {failure}", markup=False)
            continue
        console.print(f"  {system} {some}: {speed:,.4g} {unit}", markup=False)
        tried.append((speed, some))
    if not tried:
        raise WorkerFailed(f"{system} ran with none of its flags")
    return max(tried, key=lambda one: one[0])[1]


def answer(found: Mapping[str, Any]) -> None:
    """What a worker says last."""
    print(ANSWER + json.dumps(found), flush=True)


def in_turn(
    systems: Mapping[str, Callable[[], dict[str, Any]]], rounds: int, key: str
) -> dict[str, list[dict[str, Any]]]:
    """Run every system once a round, each round starting with another one: answers by system, in order of rounds."""
    names = list(systems)
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.perf_counter()
            found = systems[name]()
            answers[name].append(found)
            took = time.perf_counter() - began
            console.print(f"  round {turn + 1}/{rounds}  {name:24} {found[key]:,.4g}  ({took:.0f} s)")
    return answers


# Words --------------------------------------------------------------------------------------------------------------


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="end with one JSON object instead of a table")
    return parser


def show(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows: a table, or as the last thing one JSON object {"machine", "rows"}."""
    here = machine()
    if as_json:
        print(json.dumps({"machine": here, "rows": [row._asdict() for row in rows]}, ensure_ascii=False))
        return
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 160
    memory = here["memory_bytes"] / 2**30
    features = " ".join(name for name in ("amx", "avx512_bf16") if here[name]) or "no fast bf16"
    out.print(f"{here['cpu']}, {here['cores']} cores ({features}), {memory:.0f} GB, {here['os']}")
    out.print(f"Python {here['python']}, torch {here['torch']}, load average {here['load_average']}")
    table = Table(title=title, title_justify="left")
    for heading in ("what", "limpid", "rival", "ratio (spread)", "target", "met"):
        table.add_column(heading, justify="right" if heading in ("limpid", "ratio (spread)") else "left")
    for row in rows:
        rival = row.rival_name or ""
        if row.rival is not None:
            rival = f"{_number(row.rival)}  {rival}"
        spread = f" ({row.spread[0]:.2f}-{row.spread[1]:.2f})" if row.spread else ""
        ratio = f"{row.ratio:.2f}{spread}" if row.ratio is not None else ""
        met = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[row.met]
        measured = "-" if row.limpid is None else f"{_number(row.limpid)} {row.unit}"
        table.add_row(row.name, measured, rival, ratio, row.target or "", met)
    out.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
