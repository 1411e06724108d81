"""Encoder-decoder attention (Vaswani et al. 2017, section 3.2.3): queries of the target over keys of the source."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.nn.attention import AttentionKernel, LayerCache
from limpid.nn.linear import Linear


def padding_mask(lengths: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """(B, 1, 1, S) additive, for rows of which only the first ``lengths`` (B,) of ``length`` places hold tokens."""
    hidden = torch.arange(length, device=lengths.device) >= lengths[:, None]
    return torch.zeros(hidden.shape, dtype=dtype, device=lengths.device).masked_fill(hidden, -math.inf)[:, None, None]


class CrossAttention(nn.Module):
    """Shapes: x (B, T, D) and a memory of S places -> (B, T, D).

    The memory is the encoder's output (B, S, D), or the keys and values made from it by `keys_values`: decoding makes
    them once and looks at them at every step.
    """

    def __init__(
        self,
        d_model: int,
        n_head: int,
        head_dim: int,
        *,
        dropout: float,
        bias: bool = False,
        std: float | None = None,
        output_std: float | None = None,
    ) -> None:
        super().__init__()
        self.n_head, self.head_dim = n_head, head_dim
        self.q = Linear(d_model, n_head * head_dim, bias=bias, std=std)
        self.kv = Linear(d_model, 2 * n_head * head_dim, bias=bias, std=std)
        self.kernel = AttentionKernel(dropout)
        self.output = Linear(n_head * head_dim, d_model, bias=bias, std=output_std)

    def keys_values(self, memory: Tensor) -> LayerCache:
        """Keys and values (B, S, H, C) of the encoder's output (B, S, D)."""
        batch, length, _ = memory.shape
        keys, values = self.kv(memory).view(batch, length, -1, self.head_dim).chunk(2, dim=2)
        return LayerCache(keys, values)

    def forward(self, x: Tensor, memory: Tensor | LayerCache, mask: Tensor) -> Tensor:
        """mask: additive, (B, 1, 1, S), -inf where the source is padding."""
        batch, length, _ = x.shape
        keys, values = memory if isinstance(memory, LayerCache) else self.keys_values(memory)
        q = self.q(x).view(batch, length, self.n_head, self.head_dim)
        mixed = self.kernel(q.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), mask)  # (B, H, T, C)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, -1))
