"""The rows of a table that has one for each token: which are near a vector, and how often each token is met."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class NearToken(NamedTuple):
    """A token, the cosine of its row with what was asked about, and their inner product."""

    token_id: int
    cosine: float
    product: float


def nearest_tokens(table: Floats, vector: Floats, count: int, left_out: Collection[int] = ()) -> list[NearToken]:
    """The rows of ``table`` (V, D) of the largest cosine with ``vector`` (D,), best first; zeros have cosine 0."""
    products = table @ vector
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(vector)
    cosines = products / np.where(lengths > 0, lengths, 1)
    order = np.argsort(-cosines, kind="stable")
    found = [int(i) for i in order[: count + len(left_out)] if int(i) not in left_out][:count]
    return [NearToken(i, float(cosines[i]), float(products[i])) for i in found]


def cosines(rows: Floats) -> Floats:
    """(N, N): cosines between all pairs of rows (N, D)."""
    wide = rows.astype(np.float64)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    found: Floats = (unit @ unit.T).astype(np.float32)
    return found
