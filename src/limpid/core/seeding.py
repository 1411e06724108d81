"""Randomness as a pure function of named integers, so that nothing has to be remembered to resume a run."""

from __future__ import annotations

import zlib

import numpy as np


def entropy(seed: int, *names: int | str) -> list[int]:
    """The integers that seed a generator: ``seed`` and each name (strings by CRC-32, stable across processes)."""
    return [seed, *(zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names)]


def generator(seed: int, *names: int | str) -> np.random.Generator:
    """An independent NumPy generator for (seed, *names); the same arguments give the same stream anywhere."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy(seed, *names))))


def integer(seed: int, *names: int | str) -> int:
    """A 63-bit seed for libraries that take one integer (``torch.manual_seed``)."""
    return int(np.random.SeedSequence(entropy(seed, *names)).generate_state(1, np.uint64)[0] >> 1)
