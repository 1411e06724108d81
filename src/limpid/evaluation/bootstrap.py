"""95% intervals by resampling (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000


class Interval(NamedTuple):
    """A measured value and the bounds that hold 95% of its bootstrap resamples."""

    value: float
    low: float
    high: float


def ratio_interval(numerators: npt.ArrayLike, denominators: npt.ArrayLike, seed: int = 0) -> Interval:
    """sum(numerators) / sum(denominators), resampling the pairs. Both (N,)."""
    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    draw = np.random.default_rng(seed)
    ratios = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        picked = draw.integers(len(top), size=len(top))
        ratios[i] = top[picked].sum() / bottom[picked].sum()
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high))


def resampled_interval(measure: Callable[..., float], *arrays: npt.NDArray[Any], seed: int = 0) -> Interval:
    """``measure(*arrays)``, resampling the places that the arrays, all (N, ...), have in common."""
    draw = np.random.default_rng(seed)
    count = len(arrays[0])
    found = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        picked = draw.integers(count, size=count)
        found[i] = measure(*(array[picked] for array in arrays))
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(float(measure(*arrays)), float(low), float(high))


def mean_interval(values: npt.ArrayLike, seed: int = 0) -> Interval:
    """The mean of (N,) values."""
    values = np.asarray(values, dtype=float)
    return ratio_interval(values, np.ones(len(values)), seed)
