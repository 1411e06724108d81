"""The key-value cache: rows allocated once, written in place, each at its own position."""

from __future__ import annotations

import torch

from limpid.models.registry import DecoderConfig
from limpid.nn.attention import LayerCache

Cache = list[LayerCache]


def allocate(config: DecoderConfig, rows: int, slots: int, dtype: torch.dtype, device: torch.device) -> Cache:
    """One `LayerCache` a layer, keys and values each (rows, slots, K, C)."""
    shape = (rows, slots, config.n_kv_head, config.head_dim)
    return [
        LayerCache(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device))
        for _ in range(config.n_layer)
    ]


def pick_rows(cache: Cache, rows: torch.Tensor) -> Cache:
    """A cache holding the given rows, in that order; a row may be taken several times (shared prompts)."""
    return [LayerCache(layer.keys[rows], layer.values[rows]) for layer in cache]
