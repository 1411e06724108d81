"""What the machine under us is fast at, found by measuring."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import shutil
import sys
import time
from pathlib import Path

import torch

from limpid.core.errors import LimpidError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


_rates: dict[tuple[torch.dtype, str, int], float] = {}


def matmul_rate(dtype: torch.dtype, device: str = "cpu", size: int = 1024, seconds: float = 0.15) -> float:
    """FLOP/s of a square matrix product: the best of those that fit in ``seconds``, now or when this process asked
    before, since another program may have a core just while we look."""
    draw = torch.Generator(device).manual_seed(0)  # of its own: nobody's random numbers change by being measured
    a = torch.randn(size, size, device=device, generator=draw).to(dtype)
    best, spent = float("inf"), 0.0
    for attempt in range(1000):
        began = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - began
        spent += took
        if attempt > 1:  # the first two pay for set-up
            best = min(best, took)
        if spent > seconds and attempt > 3:
            break
    asked = dtype, device, size
    _rates[asked] = max(2 * size**3 / best, _rates.get(asked, 0.0))
    return _rates[asked]


def compute_dtype(wish: str, device: torch.device) -> torch.dtype:
    """``auto`` resolved: bfloat16 on a GPU and on a CPU with instructions for it, else float32.

    Asked of the processor and not of a stopwatch, so that a busy machine gives the same answer.

    Raises:
        LimpidError: an unknown name.
    """
    if wish in DTYPES:
        return DTYPES[wish]
    if wish != "auto":
        raise LimpidError(f"no dtype is called '{wish}'; there are auto, float32 and bfloat16.")
    if device.type == "cpu" and not _multiplies_bfloat16():
        return torch.float32
    return torch.bfloat16


@functools.cache
def _multiplies_bfloat16() -> bool:
    """Whether this CPU says it has AVX-512 or AMX products of bfloat16 (Linux; elsewhere nobody says)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def keep_memory() -> None:
    """Tell glibc to keep freed memory instead of giving it back to the system and faulting it in again.

    Training frees and takes the same large buffers thousands of times; each return costs more than the product in it.
    Elsewhere than on Linux with glibc this does nothing.
    """
    # oneDNN keeps a compiled kernel for every shape it has met, a thousand of them unless told otherwise.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD: the largest there is; what is larger does go back
        libc.mallopt(-8, 1)  # M_ARENA_MAX: forward and backward run in two threads and should share what is free


def advise_huge_pages(memory: torch.Tensor) -> None:
    """Ask Linux for pages of megabytes under memory that is read in long stretches and has not been written yet.

    Elsewhere, and on devices, this does nothing.
    """
    if not sys.platform.startswith("linux") or memory.device.type != "cpu":
        return
    page = os.sysconf("SC_PAGE_SIZE")
    begin = -(-memory.data_ptr() // page) * page
    end = (memory.data_ptr() + memory.nbytes) // page * page
    if end > begin:
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), 14)  # MADV_HUGEPAGE; a refusal changes nothing


def release_memory() -> None:
    """Give back to the system what is free but was kept: between stages, whose buffers are of other sizes."""
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """The quick half of `release_memory`, for use between steps: what glibc keeps free goes back, some 0.05 s."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


def can_compile() -> bool:
    """Whether torch.compile finds what it needs for this machine: a C++ compiler."""
    return any(shutil.which(name) for name in ("g++", "c++", "clang++"))


def peak_rss_bytes() -> int:
    """The largest resident memory this process has had, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_bytes(device: torch.device) -> int:
    """What this process holds now: of the GPU's memory where it computes there, else resident in main memory."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return peak_rss_bytes()
