"""Python, packages, folders and variables."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.paths import cache_dir, keepsakes_dir, runs_dir

Told = Iterator[tuple[str, ...]]
VARIABLES = (
    "LIMPID_API_KEY", "LIMPID_CACHE_DIR", "LIMPID_CHROMIUM", "LIMPID_CUDA_GRAPHS", "LIMPID_DATA_DIR", "LIMPID_DEBUG",
    "LIMPID_KEEP_DIR", "LIMPID_NATIVE", "LIMPID_RUNS_DIR", "LIMPID_URL",
)  # fmt: skip
LEAST_FREE = 2 * 2**30
_REQUIREMENT = re.compile(
    r"([A-Za-z0-9._-]+)(?:\[[^]]*])?\s*(?:>=\s*([0-9.]+))?[^;]*(?:;.*extra == ['\"]([^'\"]+)['\"])?"
)


def python() -> Told:
    """Its version and where it lives."""
    state = "good" if sys.version_info >= (3, 11) else "bad"
    where = sys.prefix if sys.prefix != sys.base_prefix else f"{sys.prefix}, no virtual environment"
    yield state, f"Python {platform.python_version()} on {platform.system()} {platform.machine()} ({where})"


def packages() -> Told:
    """What limpid cannot do without."""
    wanted = [(name, least) for name, least, extra in requirements() if not extra]
    wrong = [told for name, least in wanted if (told := _wrong(name, least))]
    if wrong:
        yield "bad", "; ".join(wrong), "make install, or pip install -c constraints.txt -e ."
    else:
        yield (
            "good",
            f"limpid {importlib.metadata.version('limpid')}; all {len(wanted)} packages that it needs are here",
        )


def extras() -> Told:
    """What it can do more with."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, least, extra in requirements():
        if extra and extra not in ("dev", "bench", "docs"):
            found[extra].append(_wrong(name, least))
    whole = sorted(extra for extra, wrong in found.items() if not any(wrong))
    lacking = sorted(extra for extra, wrong in found.items() if any(wrong))
    if whole:
        yield "good", ", ".join(whole)
    if lacking:
        yield "note", f"not installed: {', '.join(lacking)}", f"pip install 'limpid[{lacking[0]}]'"


def variables() -> Told:
    """Variables that limpid reads."""
    for name, value in sorted(os.environ.items()):
        if name.startswith("LIMPID_") and name not in VARIABLES:
            yield "note", f"{name} is no variable of limpid's.{did_you_mean(name, VARIABLES)}"
        elif name == "LIMPID_NATIVE" and value == "0":
            yield "note", "LIMPID_NATIVE=0: the C kernels are switched off, answers are slower", "unset it"
        elif name == "LIMPID_DATA_DIR" and not Path(value).is_dir():
            yield "bad", f"LIMPID_DATA_DIR={value} is no folder", "make it, or unset the variable"
        elif name == "OMP_NUM_THREADS" and value.isdecimal() and int(value) < _cores():
            yield "note", f"OMP_NUM_THREADS={value} uses {value} of {_cores()} cores", "unset it to train faster"


def folders() -> Told:
    """Whether runs, cache and chats can be written, and how much room there is."""
    for name, find in (("runs", runs_dir), ("cache", cache_dir), ("chats", keepsakes_dir)):
        try:
            folder = find().absolute()
        except LimpidError as error:
            yield "bad", str(error)
            continue
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield "bad", f"{name}: {there} cannot be written ({error.strerror})", "choose another with LIMPID_*_DIR"
            continue
        state = "good" if free > LEAST_FREE else "note"
        yield state, f"{name}: {folder}, {free / 2**30:.0f} GB free", "" if state == "good" else "a demo takes 0.3 GB"


def terminal() -> Told:
    """Whether Chinese can be printed."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding == "utf8":
        yield "good", "the terminal's encoding is UTF-8"
    else:
        yield "note", f"the terminal's encoding is {sys.stdout.encoding}: Chinese shows as ?", "export PYTHONUTF8=1"


def requirements() -> Iterator[tuple[str, str, str]]:
    """(package, its least version, the extra that wants it) of limpid's metadata; "" where there is none."""
    for line in importlib.metadata.requires("limpid") or ():
        if found := _REQUIREMENT.match(line):
            name, least, extra = found.groups(default="")
            yield name, least, extra


def _wrong(name: str, least: str) -> str:
    try:
        there = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return f"{name} {there} is older than {least}" if _numbers(there) < _numbers(least) else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
