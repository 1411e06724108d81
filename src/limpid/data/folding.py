"""Answers folded into one row of tokens: a prompt that several of them answer stands there once."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from limpid.data.answer_batch import AnswerBatch, up
from limpid.nn.shared_prefixes import SharedPrefixes

TOKEN_STEP = 64
"""Rows are padded to a multiple of this: each new shape costs oneDNN a kernel, and the allocator another buffer."""


class Folded(NamedTuple):
    """ids: (1, N), for a decoder that is given ``shared``. trained: (n,), the places of the row that count. source:
    (n,), where in the flattened (B T,) batch each of them comes from; those of drawn answers first, so many."""

    ids: Tensor
    shared: SharedPrefixes
    trained: Tensor
    source: Tensor
    drawn: int

    def of(self, field: Tensor) -> Tensor:
        """(n,): a field (B, T) of the batch at the trained places."""
        return field.flatten()[self.source]


def fold(batch: AnswerBatch) -> Folded:
    """The rows of a batch side by side; see `SharedPrefixes`.

    A prefix is all of a prompt but its last token, which predicts the first of the answer and so begins what each
    answer has of its own.
    """
    inputs, spoken = batch.inputs.cpu().numpy(), (batch.weights > 0).cpu().numpy()
    width = inputs.shape[1]
    begins, ends = spoken.argmax(1), width - spoken[:, ::-1].argmax(1)
    there = [row for row in range(len(inputs)) if spoken[row].any()]
    keys = {row: inputs[row, : begins[row]].tobytes() for row in there}
    asked = Counter(keys.values())
    numbers: dict[bytes, int] = {}
    prefixes: list[np.ndarray] = []
    owners: dict[int, int] = {}
    for row in there:
        key = keys[row] if asked[keys[row]] > 1 else b""
        if key not in numbers:
            numbers[key] = len(prefixes)
            prefixes.append(inputs[row, : begins[row]] if key else inputs[row, :0])
        owners[row] = numbers[key]
    starts = {row: len(prefixes[owners[row]]) for row in there}
    order = sorted(there, key=lambda row: starts[row] - ends[row])
    texts = [inputs[row, starts[row] : ends[row]] for row in order]
    if not texts:  # of several processes each computes something
        prefixes, texts, owners, order = [inputs[0, :0]], [inputs[0, :1]], {0: 0}, [0]
    firsts = np.cumsum([sum(map(len, prefixes)), *map(len, texts)])
    places, sources, drawn = [], [], batch.drawn.cpu().numpy()
    for kind in (True, False):
        for row, first in zip(order, firsts, strict=False):
            if row in starts and drawn[row] == kind:
                said = spoken[row].nonzero()[0]
                places.append(first + said - starts[row])
                sources.append(row * width + said)
    ids = np.zeros(up(int(firsts[-1]), TOKEN_STEP), dtype=np.int64)
    ids[: firsts[-1]] = np.concatenate([*prefixes, *texts])
    device = batch.inputs.device

    def joined(parts: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts])).to(device)

    return Folded(
        torch.from_numpy(ids)[None].to(device),
        SharedPrefixes([*map(len, prefixes)], [owners[row] for row in order], [*map(len, texts)], device),
        joined(places),
        joined(sources),
        int((spoken & drawn[:, None]).sum()),
    )
