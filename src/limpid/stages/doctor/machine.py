"""Processor, memory, accelerator and compilers: what there is, and how fast it is now."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from limpid.inference.native.library import Unsupported, library, multiplies_bfloat16
from limpid.models.registry import PRESETS, assemble, preset_config
from limpid.parallel.hardware import can_compile, compute_dtype, matmul_rate
from limpid.training.optim import training_bytes

Told = Iterator[tuple[str, ...]]
PORT = 8000
INSTRUCTIONS = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 bf16", "amx_bf16": "AMX bf16", "asimd": "NEON",
    "bf16": "bf16",
}  # fmt: skip
DEMO_FLOP = 1200 * 2048 * 6 * 4.95e6
"""Of the demo's pretraining: tokens times six times its parameters."""


def processor() -> Told:
    """Its name, cores and instructions, and whether others keep it busy."""
    lines = _file("/proc/cpuinfo")
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
    known = [label for flag, label in INSTRUCTIONS.items() if flag in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    about = f"{name or platform.processor() or platform.machine()}, {cores} cores"
    yield "good", f"{about}{', ' if known else ''}{', '.join(known)}; torch uses {torch.get_num_threads()} threads"
    if hasattr(os, "getloadavg") and (load := os.getloadavg()[0]) > 0.7 * cores:
        yield "note", f"other work keeps {load:.1f} cores busy: times will be longer", "close what is not needed"


def speed() -> Told:
    """Matrix products and memory, measured now."""
    rates = {dtype: matmul_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    chosen = compute_dtype("auto", torch.device("cpu"))
    numbers = torch.ones(2**26)  # 256 MB
    taken = []
    for _ in range(4):
        began = time.perf_counter()
        numbers.sum()
        taken.append(time.perf_counter() - began)
    told = ", ".join(f"{str(dtype).removeprefix('torch.')} {rate / 1e9:,.0f}" for dtype, rate in rates.items())
    bandwidth = numbers.numel() * 4 / min(taken) / 1e9
    yield "good", f"matrix products, GFLOP/s: {told}; memory {bandwidth:.0f} GB/s"
    minutes = DEMO_FLOP / (0.3 * rates[chosen]) / 60
    name = str(chosen).removeprefix("torch.")
    told = f"training computes in {name}; at this speed the demo's pretraining takes about {minutes:.0f} min"
    yield "good", told, "limpid demo train.steps=300 is a short one" if minutes > 12 else ""


def memory() -> Told:
    """How much is free, and the largest preset that can be trained in it."""
    table = dict(line.split(":", 1) for line in _file("/proc/meminfo") if ":" in line)
    if "MemAvailable" not in table:
        return
    free, whole = (int(table[key].split()[0]) * 1024 for key in ("MemAvailable", "MemTotal"))
    sizes = sorted((training_bytes(assemble(preset_config(name)), "adamw"), name) for name in PRESETS)
    fitting = [name for size, name in sizes if size < 0.8 * free]
    largest = f"; the largest preset that AdamW can train in it: {fitting[-1]}" if fitting else ""
    state = "good" if free > 2 * 2**30 else "note"
    advice = "" if state == "good" else "the demo needs 2 GB"
    yield state, f"{free / 2**30:.1f} of {whole / 2**30:.1f} GB of memory free{largest}", advice


def accelerator() -> Told:
    """GPUs, and whether torch was built for them."""
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            yield "good", f"GPU {number}: {about.name}, {about.total_memory / 2**30:.0f} GB (--device cuda)"
    elif torch.backends.mps.is_available():
        yield "good", "Apple's GPU (--device mps)"
    elif torch.version.cuda:
        yield (
            "note",
            f"torch {torch.__version__} is built for CUDA {torch.version.cuda}, and no GPU answers",
            "nvidia-smi",
        )
    else:
        yield "good", f"no GPU; torch {torch.__version__} is built for the CPU alone, which is enough"


def kernels() -> Told:
    """The C kernels that answers come from."""
    began = time.perf_counter()
    try:
        library()
    except Unsupported as reason:
        yield "note", f"the C kernels are not used, so torch answers, more slowly: {reason}", "apt install gcc"
        return
    products = "bfloat16 products" if multiplies_bfloat16() else "float32 products"
    yield "good", f"C kernels ready in {time.perf_counter() - began:.1f} s, with {products}"


def compiler() -> Told:
    """What torch.compile needs."""
    if can_compile():
        yield "good", "a C++ compiler is here, so training is compiled"
    else:
        yield "note", "no C++ compiler: training is not compiled, and slower", "apt install g++"


def port() -> Told:
    """Whether `limpid serve` finds its usual port free."""
    with socket.socket() as trial:
        taken = trial.connect_ex(("127.0.0.1", PORT)) == 0
    if taken:
        yield "note", f"port {PORT} is in use", "limpid serve --port N takes another"
    else:
        yield "good", f"port {PORT} is free for limpid serve"


def _file(path: str) -> list[str]:
    """Its lines; none where there is no such file."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
