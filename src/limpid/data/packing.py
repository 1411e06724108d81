"""Packing: short sequences side by side in rows of one length, none cut, none dropped unseen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from limpid.data.batches import Batch

OPEN_ROWS = 64
"""Rows kept open for later sequences; the fullest is closed first."""


class Packed(NamedTuple):
    """The rows, and how many sequences were too long for one (left out; the caller tells the user)."""

    batch: Batch
    too_long: int


def pack(sequences: Iterable[tuple[list[int], list[float]]], context: int, pad: int) -> Packed:
    """First-fit packing of (ids, weights) sequences into rows of ``context`` predictions.

    Token t of a sequence predicts token t+1, with the weight of token t+1; nothing predicts across a border. Unused
    places hold ``pad`` with weight 0 in a segment of their own. A sequence of n tokens takes n-1 places.
    """
    rows: list[list[tuple[list[int], list[float]]]] = []
    room: list[int] = []
    open_rows: list[int] = []
    too_long = 0
    for ids, weights in sequences:
        need = len(ids) - 1
        if need > context:
            too_long += 1
            continue
        if need < 1:
            continue
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
    return Packed(Batch(inputs, targets, weight, segments), too_long)
