"""Position-wise feed-forward layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.linear import Linear


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))`` (Shazeer 2020, equation 6). Gate and up are one matrix product.

    Shapes: x (B, T, D) -> (B, T, D); inner width F.
    """

    def __init__(self, d_model: int, d_ff: int, *, output_std: float) -> None:
        super().__init__()
        self.gate_up = Linear(d_model, 2 * d_ff)
        self.down = Linear(d_ff, d_model, std=output_std)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, F) each
        return self.down(F.silu(gate) * up)
