"""What BERT puts between its last block and the head that tells masked tokens."""

from __future__ import annotations

from torch import Tensor, nn

from limpid.nn.feedforward import ACTIVATIONS
from limpid.nn.linear import Linear
from limpid.nn.norm import LayerNorm


class Transform(nn.Module):
    """``norm(activation(dense(x)))`` (Devlin et al. 2019, their code). Shapes: (..., D) -> (..., D)."""

    def __init__(self, d_model: int, activation: str, *, norm_eps: float, std: float | None = None) -> None:
        super().__init__()
        self.dense = Linear(d_model, d_model, bias=True, std=std)
        self.activation = ACTIVATIONS[activation]
        self.norm = LayerNorm(d_model, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.activation(self.dense(x)))
