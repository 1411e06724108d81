"""The last stage of the demo: what every stage did, as report.json, report.md and a report.html that needs no network.

A folder cut short is reported as far as it came. Words stand in `report_words`, pages in `report_html`, plain text in
`report_text`, drawings in `curves`; this file gathers the facts.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from limpid import __version__
from limpid.core.errors import LimpidError
from limpid.core.logging import read_metrics
from limpid.core.paths import atomic_write_text, describe_os_error
from limpid.stages.curves import Panel, panels
from limpid.stages.report_html import render_html
from limpid.stages.report_text import render_markdown, render_terminal
from limpid.stages.report_words import STAGES

__all__ = ["build_report", "render_terminal", "write_report"]

_COPIED = (
    "steps", "train_seconds", "compile_seconds", "dtype", "parameters", "vocab_size", "train_bytes", "bytes_per_token",
    "example", "peak_rss_bytes", "flops_per_second", "matmul_flops_per_second",
)  # fmt: skip


def write_report(folder: Path, total_seconds: float) -> dict[str, Any]:
    """Report on the stages in ``folder``, each in the folder of its name, finished or not; return report.json's dict.

    Writes report.json, report.md and report.html into ``folder``, each in one step. ``total_seconds`` is what the
    whole line took.

    Raises:
        LimpidError: no stage has left anything in ``folder``, or a file there is damaged or cannot be written.
    """
    metrics = {stage: _metrics(folder / stage) for stage in STAGES}
    report = build_report(folder, total_seconds, metrics)
    baselines = {stage["name"]: stage.get("baselines", {}) for stage in report["stages"]}
    drawn: list[Panel] = []
    for stage in STAGES:
        drawn += panels(stage, metrics[stage], baselines.get(stage, {}))
    atomic_write_text(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    atomic_write_text(folder / "report.md", render_markdown(report, drawn, str(folder)))
    atomic_write_text(folder / "report.html", render_html(report, drawn, str(folder)))
    return report


def build_report(folder: Path, total_seconds: float, metrics: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The machine-readable report: totals, machine, stages in order, and the prompts with every stage's answer."""
    summaries = {stage: _summary(folder / stage) for stage in STAGES}
    stages = []
    for name in STAGES:
        if (summary := summaries[name]) is not None:
            stages.append(_stage(name, summary))
        elif metrics.get(name):
            stages.append(_unfinished(name, metrics[name]))
    if not stages:
        raise LimpidError(f"{folder} holds no stage of a demo to report on; run limpid demo --out {folder} first.")
    peaks = [peak for stage in stages if (peak := stage.get("peak_rss_bytes"))]
    return {
        "total_seconds": _finite(total_seconds),
        "peak_rss_bytes": max(peaks, default=None),
        "machine": machine(),
        "stages": stages,
        "prompts": _prompts({name: summary for name, summary in summaries.items() if summary is not None}),
    }


def machine() -> dict[str, Any]:
    """What the report was made on."""
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory = None
    try:
        torch_version: str | None = version("torch")
    except PackageNotFoundError:
        torch_version = None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_name(),
        "cores": cores,
        "memory_bytes": memory,
        "gpu": _gpu_name(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch_version,
        "limpid": __version__,
    }


def _cpu_name() -> str:
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.stdout.strip():
            return done.stdout.strip()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _gpu_name() -> str | None:
    torch = sys.modules.get("torch")  # a report alone need not load it
    return str(torch.cuda.get_device_name()) if torch is not None and torch.cuda.is_available() else None


def _metrics(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    records: list[Any] = read_metrics(path) if path.is_file() else []
    return [r for r in records if isinstance(r, dict) and _finite(r.get("step")) is not None]


def _summary(run: Path) -> dict[str, Any] | None:
    path = run / "summary.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise describe_os_error(error, path) from error
    except ValueError as error:
        raise LimpidError(f"{path} is not JSON ({error}); delete it and run limpid demo again.") from error
    if not isinstance(found, dict):
        raise LimpidError(f"{path} holds no table of a stage's results; delete it and run limpid demo again.")
    return found


def _stage(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    rate, peak = _finite(summary.get("flops_per_second")), _finite(summary.get("matmul_flops_per_second"))
    stage: dict[str, Any] = {
        "name": name,
        "finished": True,
        "seconds": _finite(summary.get("seconds")),
        "tokens": _finite(summary.get("tokens")),
        "tokens_per_second": _finite(summary.get("tokens_per_second")),
        "matmul_share": rate / peak if rate is not None and peak else None,
        "measures": {str(n): m for n, found in _table(summary, "measures").items() if (m := _measure(found))},
    }
    stage |= {key: _clean(summary[key]) for key in _COPIED if summary.get(key) is not None}
    baselines = {str(n): v["value"] for n, found in _table(summary, "baselines").items() if (v := _measure(found))}
    return stage | ({"baselines": baselines} if baselines else {})


def _unfinished(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """What the metrics of a stage without a summary tell."""

    def column(key: str) -> list[float]:
        return [value for r in records if (value := _finite(r.get(key))) is not None]

    speeds = column("tokens_per_second")
    return {
        "name": name,
        "finished": False,
        "seconds": sum(column("seconds")) or None,
        "tokens": sum(column("tokens")) or None,
        "tokens_per_second": statistics.median(speeds) if speeds else None,
        "matmul_share": None,
        "measures": {},
        "steps": int(max(column("step"))),
    }


def _prompts(summaries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The stages' answers gathered by prompt, in the order first met."""
    rows: dict[str, dict[str, Any]] = {}
    for name, summary in summaries.items():
        answers = summary.get("answers")
        for given in answers if isinstance(answers, list) else []:
            if not isinstance(given, dict) or given.get("prompt") is None or given.get("answer") is None:
                continue
            prompt = str(given["prompt"])
            row = rows.setdefault(prompt, {"prompt": prompt, "expected": None, "after": {}, "grades": {}})
            row["expected"] = row["expected"] or given.get("expected")
            row["after"][name] = str(given["answer"])
            row["grades"][name] = given.get("grade")
    return list(rows.values())


def _table(summary: dict[str, Any], key: str) -> dict[Any, Any]:
    found = summary.get(key)
    return found if isinstance(found, dict) else {}


def _measure(found: Any) -> dict[str, float | None] | None:
    """{"value", "low", "high"} out of such a table or a bare number; None where there is no value."""
    table = found if isinstance(found, dict) else {"value": found}
    if (value := _finite(table.get("value"))) is None:
        return None
    return {"value": value, "low": _finite(table.get("low")), "high": _finite(table.get("high"))}


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and math.isfinite(value) else None


def _clean(value: Any) -> Any:
    """A JSON value in which numbers that are not finite became null."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return _finite(value) if isinstance(value, float) else value
