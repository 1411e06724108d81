"""Position-wise feed-forward layers."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.linear import Linear


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))`` (Shazeer 2020, equation 6). Gate and up are one matrix product.

    Shapes: x (B, T, D) -> (B, T, D); inner width F.
    """

    def __init__(self, d_model: int, d_ff: int, *, output_std: float) -> None:
        super().__init__()
        self.gate_up = Linear(d_model, 2 * d_ff, parts={"gate": d_ff, "up": d_ff})
        self.down = Linear(d_ff, d_model, std=output_std)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, F) each
        return self.down(F.silu(gate) * up)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),  # So et al. 2021, Primer
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),  # Hendrycks & Gimpel 2016, as GPT-1 and GPT-2 have it
    "silu": F.silu,
}


class FeedForward(nn.Module):
    """``down(activation(up(x)))`` (Vaswani et al. 2017, equation 2, with ReLU).

    Shapes: x (B, T, D) -> (B, T, D); inner width F. activation: a name in `ACTIVATIONS`.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: str,
        *,
        bias: bool = False,
        std: float | None = None,
        output_std: float | None = None,
    ) -> None:
        super().__init__()
        self.up = Linear(d_model, d_ff, bias=bias, std=std)
        self.down = Linear(d_ff, d_model, bias=bias, std=output_std)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))
