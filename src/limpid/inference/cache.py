"""The key-value cache: one block of memory, its rows written in place, each at its own position."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from limpid.nn.attention import LayerCache
from limpid.parallel.hardware import advise_huge_pages

Cache = list[LayerCache]


def allocate(config: Any, rows: int, slots: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2 x layers, rows, K, slots, C): keys and values of every layer; rows are moved in all of them at once.

    What one head looks at lies in one stretch of memory.
    """
    shape = (2 * config.n_layer, rows, config.n_kv_head, slots, config.head_dim)
    block = torch.empty(shape, dtype=dtype, device=device)
    advise_huge_pages(block)
    return block.zero_()


def layers(block: Tensor, rows: slice) -> Cache:
    """Views of some rows: one `LayerCache` a layer."""
    by_slot = block[:, rows].transpose(2, 3)
    return [LayerCache(keys, values) for keys, values in zip(by_slot[::2], by_slot[1::2], strict=True)]


def cache_bytes(config: Any, rows: int, slots: int, dtype: torch.dtype) -> int:
    """Memory of what `allocate` makes."""
    return 2 * config.n_layer * rows * slots * config.n_kv_head * config.head_dim * dtype.itemsize
