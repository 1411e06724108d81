"""Tensors that several processes hold in parts, told from others without importing what makes them: that takes most of
a second of every start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor
    from typing_extensions import TypeIs


def is_sharded(tensor: Tensor) -> TypeIs[DTensor]:
    """Whether ``tensor`` is a DTensor; there is none before its module was imported."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def whole(tensor: Tensor) -> Tensor:
    """``tensor`` itself, or all of it where it is held in parts (every process must ask)."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor
