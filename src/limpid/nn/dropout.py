"""Dropout whose mask is cheap on a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.library.custom_op("limpid::random_bytes", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def random_bytes(shape: list[int]) -> Tensor:
    """Uniform uint8 noise on the CPU, eight elements for each 64-bit draw of torch's generator.

    An operator of its own so that torch.compile calls it as it is, and neither merges two draws nor repeats one. It
    takes a shape and no tensor, so that what it will mask need not be finished before it.
    """
    count = math.prod(shape)
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.uint8)[:count].view(shape)


@random_bytes.register_fake
def _(shape: list[int]) -> Tensor:
    return torch.empty(shape, dtype=torch.uint8)


class Dropout(nn.Module):
    """Zero elements with probability ``p`` and scale the rest by 1/(1-p) while training (Srivastava et al. 2014).

    torch's CPU kernel draws one double per element on one thread, which costs more than the matrix products around
    it; here one random byte decides, so on a CPU ``p`` is rounded to the nearest 1/256. Elsewhere torch's own is used.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.threshold = round(p * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        # As float32: inductor compares bytes one at a time, floats sixteen at a time.
        keep = random_bytes(list(x.shape)).float() >= self.threshold
        return x * keep * (256 / (256 - self.threshold))

    def extra_repr(self) -> str:
        return f"p={self.p}"
