"""Residual blocks: attention, then a feed-forward layer, each added to what came in; normalised before or after."""

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


class PostNormBlock(nn.Module):
    """``norm(x + attention(x))``, then ``norm(x + feed_forward(x))`` (Vaswani et al. 2017, section 3.1; GPT-1).

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
        self.attention = attention
        self.attention_norm = attention_norm
        self.feed_forward = feed_forward
        self.feed_forward_norm = feed_forward_norm
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context, cache: LayerCache | None = None) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, context, cache)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
