"""Parts of a trace's arrays as raw numbers: what is asked for is made, and no more."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.responses import Response

from limpid.core.errors import LimpidError
from limpid.inspection.matrices import Stage
from limpid.inspection.trace import Trace

NUMBERS = 4 * 2**20
"""The most that one answer holds: 16 MiB."""
_STAGES: dict[str, Stage] = {
    "hook_attn_scores_raw": "raw", "hook_attn_scores_scaled": "scaled", "hook_attn_scores": "masked",
    "hook_pattern": "pattern",
}  # fmt: skip
_MATRIX = re.compile(r"(\w+)\.(\d+)\.(attn|cross_attn)\.(\w+)")
_STEP = re.compile(r"-?\d{1,9}|(?:\d{1,9})?:(?:\d{1,9})?")


def part(trace: Trace, name: str, index: str = "") -> npt.NDArray[Any]:
    """``trace[name][index]``, where ``index`` is numpy's: numbers, ranges and colons, with commas between: ``5,:,2``.

    Raises:
        LimpidError: no such name, an index that does not fit it, or more numbers than `NUMBERS`.
    """
    names = trace.names()
    if name not in names:
        trace.tensor(name)  # it says what there is
    shape = names[name]
    steps = cut(name, index, shape)
    matrix = _MATRIX.fullmatch(name)
    if matrix is not None and matrix[4] in _STAGES:
        stack, layer, kind, point = matrix.groups()
        heads = range(shape[0])[steps[0]]

        def one(head: int) -> npt.NDArray[Any]:
            found = trace.pattern(int(layer), head, kind=kind, stage=_STAGES[point], stack=stack)
            cut: npt.NDArray[Any] = found[tuple(steps[1:])]
            return cut

        if isinstance(heads, int):
            return one(heads)
        return np.stack([one(head) for head in heads]) if heads else one(0)[None][:0]
    if name in ("logits", "probabilities"):
        rows = range(shape[0])[steps[0]]
        logits = trace.subject.logits(trace.hidden[rows if isinstance(rows, int) else list(rows)])
        scores = logits if name == "logits" else logits.softmax(-1)
        rows_found: npt.NDArray[Any] = scores.detach().float().cpu().numpy()[..., steps[1]]
        return rows_found
    found: npt.NDArray[Any] = trace[name][tuple(steps)]
    return found


def raw(array: npt.NDArray[Any], layout: str = "whole") -> Response:
    """An array as little-endian float32, int32 or bytes; its shape and dtype are in the headers.

    layout: ``triangle`` where of a square only each row up to its diagonal is sent, one after the other.
    """
    kind = "uint8" if array.dtype == np.uint8 else "int32" if array.dtype.kind in "iub" else "float32"
    shape = array.shape
    if layout == "triangle":
        array = array[np.tril_indices(len(array))]
    headers = {
        "limpid-dtype": kind, "limpid-shape": ",".join(map(str, shape)), "limpid-layout": layout,
        "cache-control": "no-store",
    }  # fmt: skip
    code = {"uint8": "u1", "int32": "<i4", "float32": "<f4"}[kind]
    return Response(array.astype(code).tobytes(), media_type="application/octet-stream", headers=headers)


def cut(name: str, index: str, shape: Sequence[int]) -> list[int | slice]:
    """The index of ``part``, read, a step a dimension.

    Raises:
        LimpidError: it does not fit the shape, or asks for more numbers than `NUMBERS`.
    """
    given = index.split(",") if index else []
    if len(given) > len(shape):
        raise LimpidError(f"{name} has {len(shape)} dimensions, and '{index}' names {len(given)}.")
    steps: list[int | slice] = []
    for step, count in zip(given, shape, strict=False):
        step = step.strip()
        if not _STEP.fullmatch(step):
            raise LimpidError(f"'{step[:40]}' is no index: write a number, a range as 2:5, or : for all.")
        if ":" in step:
            first, last = step.split(":")
            steps.append(slice(int(first) if first else None, int(last) if last else None))
        elif not -count <= int(step) < count:
            raise LimpidError(f"index {step} is outside 0..{count - 1} of {name}, which is {_shown(shape)}.")
        else:
            steps.append(int(step) % count)
    whole = [*steps, *[slice(None)] * (len(shape) - len(steps))]
    size = math.prod(
        len(range(*s.indices(n))) if isinstance(s, slice) else 1 for s, n in zip(whole, shape, strict=True)
    )
    if size > NUMBERS:
        raise LimpidError(
            f"{name}[{index or ':'}] has {size:,} numbers, and at most {NUMBERS:,} are sent at once; "
            "ask for a part of it with index=."
        )
    return whole


def _shown(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
