"""How much a model computes, counted from its parts; a model on the meta device does as well as a real one."""

from __future__ import annotations

from torch import nn

from limpid.nn.attention import Attention
from limpid.nn.linear import Linear


def parameters(model: nn.Module) -> int:
    """All parameters, a tied matrix once."""
    return sum(p.numel() for p in model.parameters())


def matmul_parameters(model: nn.Module) -> int:
    """Parameters that multiply every token: the matrices of all linear layers, the head among them.

    Tables (token embeddings, positions) are looked up and not counted.
    """
    return sum(module.weight.numel() for module in model.modules() if isinstance(module, Linear))


def flops_per_token(model: nn.Module, length: int) -> float:
    """Training FLOPs a token: 6 x matmul parameters + 12 x H x C x attended length, over the layers (a full square)."""
    attention = sum(12 * m.n_head * m.head_dim * length for m in model.modules() if isinstance(m, Attention))
    return 6.0 * matmul_parameters(model) + attention
