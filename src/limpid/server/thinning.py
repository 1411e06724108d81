"""Lines of many points made short enough to draw: the mean that smooths them, and the points that show their shape."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
_BLOCK = 128
"""Values that one matrix product smooths; what went before a block reaches into it through one number."""


def reach(weight: float) -> int:
    """How many values back the moving mean still sees: what is further weighs less than 1e-12 in all."""
    return math.ceil(math.log(1e-12) / math.log(weight)) if weight else 0


def smoothed(values: Doubles, weight: float, *, before: int = 0) -> Doubles:
    """The exponential moving mean, freed of its bias towards the beginning (Kingma and Ba 2015, section 3).

    before: how many values of the line came before these and are left out; the first `reach` of the result lack them.
    """
    lags = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    within = (1 - weight) * np.where(lags >= 0, weight ** np.maximum(lags, 0), 0.0)
    blocks = np.pad(values, (0, -len(values) % _BLOCK)).reshape(-1, _BLOCK) @ within.T
    ends, fading = blocks[:, -1].copy(), weight ** np.arange(1, _BLOCK + 1)
    for block in range(1, len(ends)):
        ends[block] += fading[-1] * ends[block - 1]
    blocks[1:] += ends[:-1, None] * fading
    sums: Doubles = blocks.ravel()[: len(values)]
    seen = np.arange(before + 1, before + len(values) + 1)
    return sums / (-np.expm1(seen * math.log(weight)) if weight else 1.0)


def thinned(x: Doubles, y: Doubles, most: int, *, log: bool = False) -> npt.NDArray[np.int64]:
    """Places of at most about ``most`` points of a line, x ascending: of each stretch of x the first, the last, the
    lowest and the highest."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.log(np.maximum(x, 1e-12)) if log else x
    width = along[-1] - along[0] or 1.0
    stretch = np.minimum((along - along[0]) / width * (most // 4), most // 4 - 1).astype(np.int64)
    firsts = np.flatnonzero(np.diff(stretch, prepend=-1))  # x ascends, and so do the stretches
    lasts = np.append(firsts[1:], len(x)) - 1
    sizes = lasts - firsts + 1
    ends = [
        where[np.flatnonzero(np.diff(stretch[where], prepend=-1))]  # of several that are alike, the first
        for extreme in (np.minimum, np.maximum)
        for where in [np.flatnonzero(y == np.repeat(extreme.reduceat(y, firsts), sizes))]
    ]
    return np.unique(np.concatenate([firsts, lasts, *ends]))
