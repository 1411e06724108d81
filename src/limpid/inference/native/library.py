"""`kernels.c`, compiled for this very processor, kept in the cache folder, and loaded."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import secrets
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.core.paths import cache_dir

log = logging.getLogger("limpid")

FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-pthread", "-w")
COMPILERS = ("cc", "gcc", "clang")
TIMEOUT_SECONDS = 120


class Unsupported(Exception):
    """The kernels cannot be had here, or not for this model; the text says why, and torch computes instead."""


class UnknownPart(Unsupported):
    """The kernels are here, but do not know a part of the model."""


def library() -> ctypes.CDLL:
    """The compiled kernels.

    Raises:
        Unsupported: they are switched off (LIMPID_NATIVE=0), there is no C compiler, or it failed.
    """
    if os.environ.get("LIMPID_NATIVE", "1") == "0":
        raise Unsupported("LIMPID_NATIVE=0 switches the C kernels off")
    found = made()
    if isinstance(found, Unsupported):
        raise Unsupported(str(found))
    return found


@functools.cache
def made() -> ctypes.CDLL | Unsupported:
    """The library, or why there is none, which is tried and told once a process."""
    try:
        return _load()
    except Unsupported as reason:
        log.warning("limpid: torch computes, more slowly: %s", reason)
        return reason


def _load() -> ctypes.CDLL:
    source = resources.files("limpid.inference.native").joinpath("kernels.c").read_text(encoding="utf-8")
    compiler = os.environ.get("CC") or next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is None:
        raise Unsupported(f"no C compiler is here ({', '.join(COMPILERS)})")
    native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    command = [*compiler.split(), *FLAGS, native]
    try:
        path = _compiled(source, command)
        found = ctypes.CDLL(str(path))
    except (OSError, LimpidError) as err:
        raise Unsupported(f"the C kernels could not be made or loaded ({err})") from err
    found.limpid_run.argtypes = [ctypes.c_void_p, ctypes.c_int]
    found.limpid_run.restype = ctypes.c_int
    return found


def _compiled(source: str, command: list[str]) -> Path:
    """The library in the cache folder, made there if this source, command and processor have none yet."""
    name = hashlib.sha256("\n".join((source, *command, _processor())).encode()).hexdigest()[:24]
    folder = cache_dir() / "native"
    path = folder / f"{name}.so"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{name}.{os.getpid()}.{secrets.token_hex(4)}.so"
    try:
        ran = subprocess.run(
            [*command, "-x", "c", "-", "-o", str(fresh), "-lm"],
            input=source, text=True, capture_output=True, timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise Unsupported(f"{command[0]} failed: {' '.join(ran.stderr.split())[:300]}")
        fresh.replace(path)
    except subprocess.TimeoutExpired as err:
        raise Unsupported(f"{command[0]} took more than {TIMEOUT_SECONDS} s") from err
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _processor() -> str:
    """What a library compiled for this processor depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.platform() + platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether the kernels multiply bfloat16 by bfloat16 here; else they multiply float32 by what is widened to it."""
    return bool(ctypes.c_int.in_dll(library(), "limpid_bf16_dot").value)
