"""A residual block: attention, then a feed-forward layer, each normalised before and added after."""

from __future__ import annotations

from torch import Tensor, nn

from limpid.nn.attention import Attention, Context, LayerCache
from limpid.nn.dropout import Dropout


class PreNormBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))`` (pre-norm: Xiong et al. 2020, figure 1b).

    Shapes: x (B, T, D) -> (B, T, D).
    """

    def __init__(
        self,
        attention: Attention,
        feed_forward: nn.Module,
        attention_norm: nn.Module,
        feed_forward_norm: nn.Module,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention_norm = attention_norm
        self.attention = attention
        self.feed_forward_norm = feed_forward_norm
        self.feed_forward = feed_forward
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context, cache: LayerCache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), context, cache))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
