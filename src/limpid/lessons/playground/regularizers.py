"""A pull of every weight (no bias) towards zero, after each update, as TensorFlow Playground does it.

With w the weight before the update and w' after the optimizer's step, it becomes

    L2: w' - lr rate w                L1: w' - lr rate sign(w), and where that crosses zero: 0, for good.

The pull is outside of the gradient, so momentum and Adam do not see it: it is decoupled, as Loshchilov and Hutter 2019
call it. A weight that L1 has set to 0 is dead: it takes part in nothing until it is edited or the net begins anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Regularizer = Callable[[Floats, Floats, float], tuple[Floats, Bools | None]]


def _none(before: Floats, after: Floats, pull: float) -> tuple[Floats, Bools | None]:
    return after, None


def _l1(before: Floats, after: Floats, pull: float) -> tuple[Floats, Bools | None]:
    pulled = after - pull * np.sign(before)
    dead = after * pulled < 0
    return np.where(dead, 0.0, pulled), dead


def _l2(before: Floats, after: Floats, pull: float) -> tuple[Floats, Bools | None]:
    return after - pull * before, None


REGULARIZERS: dict[str, Regularizer] = {"none": _none, "L1": _l1, "L2": _l2}
"""(weights before the update, after the optimizer's step, lr * rate) -> (weights, those that died; None: none can)."""
