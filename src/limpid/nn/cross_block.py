"""Blocks of a decoder that reads a source: masked self-attention, attention over the source, feed-forward."""

from __future__ import annotations

from torch import Tensor, nn

from limpid.nn.attention import Attention, Context, LayerCache
from limpid.nn.cross_attention import CrossAttention
from limpid.nn.dropout import Dropout


class _CrossBlock(nn.Module):
    """The parts, which both orders of normalising share."""

    def __init__(
        self,
        attention: Attention,
        cross_attention: CrossAttention,
        feed_forward: nn.Module,
        attention_norm: nn.Module,
        cross_norm: nn.Module,
        feed_forward_norm: nn.Module,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention_norm = attention_norm
        self.attention = attention
        self.cross_norm = cross_norm
        self.cross_attention = cross_attention
        self.feed_forward_norm = feed_forward_norm
        self.feed_forward = feed_forward
        self.dropout = Dropout(dropout)


class PreNormCrossBlock(_CrossBlock):
    """``x + f(norm(x))`` for each of the three (Xiong et al. 2020, figure 1b).

    Shapes: x (B, T, D), memory (B, S, D) or its keys and values, memory_mask (B, 1, 1, S) -> (B, T, D).
    """

    def forward(
        self, x: Tensor, context: Context, memory: Tensor | LayerCache, memory_mask: Tensor, cache: LayerCache | None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), context, cache))
        x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory, memory_mask))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class PostNormCrossBlock(_CrossBlock):
    """``norm(x + f(x))`` for each of the three (Vaswani et al. 2017, section 3.1). Shapes as in the other."""

    def forward(
        self, x: Tensor, context: Context, memory: Tensor | LayerCache, memory_mask: Tensor, cache: LayerCache | None
    ) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, context, cache)))
        x = self.cross_norm(x + self.dropout(self.cross_attention(x, memory, memory_mask)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
