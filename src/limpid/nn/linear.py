"""The affine map, with its master weights kept in float32."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """``x @ weight.T + bias`` computed in the dtype of ``x``.

    The parameter stays in float32 while it is trained, and is cast to the compute dtype where it is used: one pass
    over the weights per forward, against hundreds of passes of activations. Inference casts the whole model once,
    after which the cast here is free.

    parts: the projections of which this is several in one, name -> rows, from the first row on; none: it is one.

    Shapes: x (..., d_in) -> (..., d_out); weight (d_out, d_in).
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        bias: bool = False,
        std: float | None = None,
        parts: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.parts = dict(parts or {})
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.empty(d_out)) if bias else None
        self.std = d_in**-0.5 if std is None else std

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Normal weights of deviation ``std`` (1/sqrt(d_in) unless given; 0 for zero-initialised outputs)."""
        if self.std:
            nn.init.normal_(self.weight, std=self.std, generator=generator)
        else:
            nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)
