"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2) with grouped keys and values, and a cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.dropout import Dropout
from limpid.nn.linear import Linear
from limpid.nn.norm import RMSNorm
from limpid.nn.position import rotate


class LayerCache(NamedTuple):
    """Keys and values of one layer, preallocated: each (rows, S, K, C), of any strides. Written in place at each row's
    positions."""

    keys: Tensor
    values: Tensor


class Context(NamedTuple):
    """What the layers of one forward pass share (those of another attention window have another mask).

    cos, sin: rotary tables of the queries, (T, C/2) or (B, T, C/2); None where queries and keys are not turned.
    mask: additive, (T, S) or (B, 1, T, S), 0 where a query may look and -inf where not; None is plain causal.
    slots: with a cache, where each new key goes: (B, T) integer; None without one.
    ids: the tokens, (B, T), for layers that look up a table of their own. start: the residual stream as it entered the
    first layer, (B, T, D). penalties: layers add to it what is to be added to the loss, a mean a token; None: nothing.
    counted: (B, T) bool, the tokens of which that is the mean; None: all. attend: with texts side by side in one row,
    attention among them (see `shared_prefixes`), instead of a mask.
    """

    cos: Tensor | None
    sin: Tensor | None
    mask: Tensor | None
    slots: Tensor | None = None
    ids: Tensor | None = None
    start: Tensor | None = None
    penalties: list[Tensor] | None = None
    counted: Tensor | None = None
    attend: Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor] | None = None


def causal_mask(length: int, dtype: torch.dtype, device: torch.device, window: int = 0) -> Tensor:
    """(T, T): each position sees itself and what came before; with a window, that many positions, itself counted."""
    hidden = torch.full((length, length), -math.inf, dtype=dtype, device=device)
    return hidden.triu(1) + hidden.tril(-window) if window else hidden.triu(1)


def visible_mask(queries: Tensor, keys: Tensor, dtype: torch.dtype, window: int = 0) -> Tensor:
    """(B, 1, T, S) for queries and keys at the places (B, T) and (B, S) of one text; window as above."""
    queries, keys = queries[:, :, None], keys[:, None, :]
    hidden = keys > queries
    if window:
        hidden |= keys <= queries - window
    return torch.zeros(hidden.shape, dtype=dtype, device=keys.device).masked_fill(hidden, -math.inf)[:, None]


def segment_mask(segments: Tensor, dtype: torch.dtype, window: int = 0) -> Tensor:
    """(B, 1, T, T) from segments (B, T): causal, and only within one's own document; window as in `causal_mask`."""
    length = segments.shape[1]
    same = segments[:, None, :, None] == segments[:, None, None, :]
    earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    visible = same & (earlier.triu(1 - window) if window else earlier)
    return torch.zeros(visible.shape, dtype=dtype, device=segments.device).masked_fill(~visible, -math.inf)


def cache_mask(slots: Tensor, length: int, dtype: torch.dtype, window: int = 0) -> Tensor:
    """(B, 1, T, S) for queries at ``slots`` (B, T) over the first ``length`` cache slots; window as above."""
    return visible_mask(slots, torch.arange(length, device=slots.device)[None], dtype, window)


class ExplicitKernel(nn.Module):
    """softmax(QK^T / sqrt(C) + mask) V as three visible steps.

    On CPUs this is also the fastest training kernel at short lengths: the products run at the matrix rate in both
    directions, where the fused flash kernel's backward does not.

    Shapes: q (B, H, T, C); k, v (B, K, S, C); returns (B, H, T, C). H is a multiple of K: group G = H/K.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        batch, heads, length, width = q.shape
        groups = heads // k.shape[1]
        if mask is None:
            mask = causal_mask(length, q.dtype, q.device)
        if mask.dim() == 2:
            mask = mask[None, None]
        scaled = (q * width**-0.5).reshape(batch, -1, groups * length, width)  # (B, K, G*T, C)
        scores = (scaled @ k.transpose(-1, -2)).view(batch, -1, groups, length, k.shape[2])  # (B, K, G, T, S)
        weights = torch.softmax(scores + mask.unsqueeze(2), dim=-1)
        weights = self.dropout(weights).view(batch, -1, groups * length, k.shape[2])
        return (weights @ v).view(batch, heads, length, width)


class FusedKernel(nn.Module):
    """The same function through torch's fused kernels: flash attention on a GPU. Shapes as in `ExplicitKernel`."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        grouped = q.shape[1] != k.shape[1]
        p = self.dropout if self.training else 0.0
        causal = mask is None
        return F.scaled_dot_product_attention(q, k, v, mask, p, causal, enable_gqa=grouped)


class AttentionKernel(nn.Module):
    """Chooses where it runs: explicit on a CPU, fused elsewhere. Inspection swaps this module for its own."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.explicit = ExplicitKernel(dropout)
        self.fused = FusedKernel(dropout)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        kernel = self.explicit if q.device.type == "cpu" else self.fused
        return kernel(q, k, v, mask)


class Attention(nn.Module):
    """Self-attention: grouped queries, rotary positions and QK-norm (Ainslie et al. 2023; Henry et al. 2020) optional.

    Shapes: x (B, T, D) -> (B, T, D). One product makes queries, keys and values. qkv_bias, output_bias: whether that
    product, and the last one, add a bias (GPT-2: both, Qwen2: the first). values, (B, T, K, C): added to the values.
    """

    def __init__(
        self,
        d_model: int,
        n_head: int,
        n_kv_head: int,
        head_dim: int,
        *,
        dropout: float,
        qk_norm: bool = False,
        norm_eps: float = 1e-6,
        qkv_bias: bool = False,
        output_bias: bool = False,
        std: float | None = None,
        output_std: float | None = None,
    ) -> None:
        super().__init__()
        self.n_head, self.n_kv_head, self.head_dim = n_head, n_kv_head, head_dim
        parts = {"query": n_head * head_dim, "key": n_kv_head * head_dim, "value": n_kv_head * head_dim}
        self.qkv = Linear(d_model, sum(parts.values()), bias=qkv_bias, std=std, parts=parts)
        self.q_norm = RMSNorm(head_dim, eps=norm_eps) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(head_dim, eps=norm_eps) if qk_norm else nn.Identity()
        self.kernel = AttentionKernel(dropout)
        self.output = Linear(n_head * head_dim, d_model, bias=output_bias, std=output_std)

    def forward(
        self, x: Tensor, context: Context, cache: LayerCache | None = None, values: Tensor | None = None
    ) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, -1, self.head_dim)  # (B, T, H + 2K, C)
        q, k, v = qkv.split((self.n_head, self.n_kv_head, self.n_kv_head), dim=2)
        if values is not None:
            v = v + values
        q, k = self.q_norm(q), self.k_norm(k)
        if context.cos is not None and context.sin is not None:
            q, k = rotate(q, context.cos, context.sin), rotate(k, context.cos, context.sin)
        if cache is not None and context.slots is not None and context.mask is not None:
            rows = torch.arange(batch, device=x.device)[:, None]
            cache.keys[rows, context.slots] = k
            cache.values[rows, context.slots] = v
            seen = context.mask.shape[-1]
            k, v = cache.keys[:batch, :seen], cache.values[:batch, :seen]
        if context.attend is not None:
            mixed = context.attend(self.kernel, q, k, v)  # (B, T, H, C)
        else:
            mixed = self.kernel(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), context.mask).transpose(1, 2)
        return self.output(mixed.reshape(batch, length, -1))
