"""Matrices laid out as the kernels read them: tiles of 64 outputs, each tile one stretch of memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.parallel.hardware import advise_huge_pages

LANES = 16
"""Outputs in a block: numbers of one vector register."""
TILE = 4 * LANES


class Arena:
    """One stretch of memory for all weights of a model, in huge pages where Linux gives them: what is read whole for
    every token then lies in hundreds of pages, not in tens of thousands.

    Args:
        size: bytes at most; what is not filled costs nothing.
    """

    def __init__(self, size: int) -> None:
        self._memory = torch.empty(size, dtype=torch.uint8)
        advise_huge_pages(self._memory)
        self._filled = 0

    def keep(self, tensor: Tensor) -> Tensor:
        """A copy of ``tensor`` in the arena."""
        size = tensor.numel() * tensor.itemsize
        place = self._memory[self._filled : self._filled + size].view(tensor.dtype).view(tensor.shape)
        self._filled += -(-size // 64) * 64
        return place.copy_(tensor)


class Packed(NamedTuple):
    """weight: see `pack`. scale: of each output, float32, padded to whole tiles; None but for int8."""

    weight: Tensor
    scale: Tensor | None


def pack(weight: Tensor, *, int8: bool = False) -> Packed:
    """(N, K) -> tiles of 64 outputs: for each k (bfloat16: pair of k's) in turn, the numbers of all 64 side by side.

    What is read for one tile is one stretch of memory, read from its beginning to its end.
    N is padded with zeros to whole tiles. int8: see `quantised`.
    """
    padded = pad(weight.detach())
    tiles, width = len(padded) // TILE, padded.shape[1]
    if int8:
        whole, scale = quantised(padded)
        return Packed(whole.view(tiles, TILE, width).transpose(1, 2).contiguous(), scale)
    if padded.dtype == torch.bfloat16:
        return Packed(padded.view(tiles, TILE, width // 2, 2).transpose(1, 2).contiguous(), None)
    return Packed(padded.float().view(tiles, TILE, width).transpose(1, 2).contiguous(), None)


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(N, K) -> int8 of the same shape, and the scale of each output, (N,): its largest weight / 127."""
    numbers = weight.float()
    scale = numbers.abs().amax(1).clamp_min(1e-30) / 127
    return (numbers / scale[:, None]).round().to(torch.int8), scale


def pad(rows: Tensor) -> Tensor:
    """Zeros after the last row (or number), up to a whole tile."""
    missing = -len(rows) % TILE
    return F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, missing))


def interleave(gate_up: Tensor) -> Tensor:
    """(2F, K), first all gates, then all ups -> blocks of 16 gates and 16 ups in turn."""
    gate, up = gate_up.detach().chunk(2)
    width = gate.shape[1]
    return torch.stack((gate.view(-1, LANES, width), up.view(-1, LANES, width)), dim=1).reshape(-1, width)
