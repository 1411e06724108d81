"""Low-rank adaptation (LoRA): a frozen affine map plus a small, trained one (Hu et al. 2021, section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.dropout import Dropout
from limpid.nn.linear import Linear
from limpid.nn.sharded import whole


class LowRank(nn.Module):
    """``b @ (a @ x)``: a (rank, d_in) begins uniform in +-1/sqrt(d_in), b (d_out, rank) at zero."""

    def __init__(self, d_in: int, d_out: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(rank, d_in))
        self.b = nn.Parameter(torch.empty(d_out, rank))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        bound = self.a.shape[1] ** -0.5
        nn.init.uniform_(self.a, -bound, bound, generator=generator)
        nn.init.zeros_(self.b)

    def product(self) -> Tensor:
        """(d_out, d_in): ``b @ a``."""
        return whole(self.b) @ whole(self.a)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))


class LoraLinear(Linear):
    """``base(x) + scale * b a dropout(x)``, with an a and a b of its own for each adapted projection of the map.

    The weight and bias are those of ``base``, under the same names, and are not trained. sizes: its projections, name
    -> rows, in order; ranks: those that are adapted.

    Shapes: as `Linear`'s.
    """

    def __init__(
        self, base: Linear, sizes: dict[str, int], ranks: dict[str, int], *, scale: float, dropout: float
    ) -> None:
        nn.Module.__init__(self)
        self.weight, self.bias = base.weight, base.bias
        self.std, self.parts = base.std, base.parts
        self.sizes, self.scale = sizes, scale
        d_in = base.weight.shape[1]
        self.lora = nn.ModuleDict({name: LowRank(d_in, sizes[name], rank) for name, rank in ranks.items()})
        self.lora.to(base.weight.device)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        dropped = self.dropout(x)
        added = [
            self.lora[name](dropped) if name in self.lora else out.new_zeros(*out.shape[:-1], rows)
            for name, rows in self.sizes.items()
        ]
        return out + self.scale * torch.cat(added, dim=-1)

    def pair(self, name: str) -> LowRank:
        """The adapter of one projection."""
        pair = self.lora[name]
        assert isinstance(pair, LowRank)
        return pair

    @torch.no_grad()
    def merged(self) -> Tensor:
        """(d_out, d_in) float32: the one matrix that does the same."""
        weight = whole(self.weight).float().clone()
        at = 0
        for name, rows in self.sizes.items():
            if name in self.lora:
                weight[at : at + rows] += self.scale * self.pair(name).product()
            at += rows
        return weight
