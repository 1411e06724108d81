"""How many answers fit into the memory there is: a server that outgrows it is killed in the middle of all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from limpid.core.errors import LimpidError
from limpid.inference.cache import cache_bytes

ROWS = 32
"""Answers computed at once where memory allows."""


def fitting_rows(name: str, config: Any, dtype: torch.dtype, *, rows: int | None, context: int, budget: int) -> int:
    """The number of cache rows: ``rows``, or else up to `ROWS`, whatever fits.

    Args:
        context: the most tokens of a row. budget: bytes that the cache may grow to.

    Raises:
        LimpidError: it does not fit; the message says what would.
    """
    fits = budget // cache_bytes(config, 1, context, dtype)
    wanted = min(ROWS, fits) if rows is None else rows
    if 0 < wanted <= fits:
        return wanted
    wanted = max(wanted, 1)
    shorter = budget * context // cache_bytes(config, wanted, context, dtype)
    remedy = f"--rows {fits}, or --context {shorter}" if fits else f"--context {shorter}"
    need = cache_bytes(config, wanted, context, dtype) / 1e9
    raise LimpidError(
        f"{name}: {wanted} answer{'s' if wanted > 1 else ''} of {context} tokens need {need:.1f} GB of cache, "
        f"and {budget / 1e9:.1f} GB can be had for it here: give {remedy}."
    )


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had on ``device``; on Linux also within this process's control group."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = _available() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())  # "max" where there is none
        free = min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(free, 0)


def _available() -> int | None:
    """What Linux thinks it could give without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
