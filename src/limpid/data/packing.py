"""Packing: short sequences side by side in rows of one length, none cut, none dropped."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from limpid.data.batches import Batch

OPEN_ROWS = 64
"""Rows kept open for later sequences; the fullest is closed first."""


def pack(sequences: Iterable[tuple[list[int], list[float]]], context: int, pad: int) -> Batch:
    """First-fit packing of (ids, weights) sequences into rows of ``context`` predictions.

    Token t of a sequence predicts token t+1, with the weight of token t+1; nothing predicts across a border. Unused
    places hold ``pad`` with weight 0 in segment 0; the sequences of a row are its segments 1, 2, ... A sequence of n
    tokens takes n-1 places, and must be given 2 to context + 1.
    """
    rows: list[list[tuple[list[int], list[float]]]] = []
    room: list[int] = []
    open_rows: list[int] = []
    for ids, weights in sequences:
        need = len(ids) - 1
        assert 0 < need <= context
        place = next((r for r in open_rows if room[r] >= need), None)
        if place is None:
            place = len(rows)
            rows.append([])
            room.append(context)
            open_rows.append(place)
        rows[place].append((ids, weights))
        room[place] -= need
        if len(open_rows) > OPEN_ROWS:
            open_rows.remove(min(open_rows, key=room.__getitem__))
    shape = (len(rows), context)
    inputs = torch.full(shape, pad)
    targets = torch.full(shape, pad)
    weight = torch.zeros(shape)
    segments = torch.zeros(shape, dtype=torch.int64)
    for r, row in enumerate(rows):
        at = 0
        for number, (ids, weights) in enumerate(row, start=1):
            end = at + len(ids) - 1
            inputs[r, at:end] = torch.tensor(ids[:-1])
            targets[r, at:end] = torch.tensor(ids[1:])
            weight[r, at:end] = torch.tensor(weights[1:])
            segments[r, at:end] = number
            at = end
    return Batch(inputs, targets, weight, segments)
