"""How much a model computes, counted from its parts; a model on the meta device does as well as a real one."""

from __future__ import annotations

import torch
from torch import nn

from limpid.nn.attention import Attention
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.linear import Linear


def parameters(model: nn.Module) -> int:
    """All parameters, a tied matrix once."""
    return sum(p.numel() for p in model.parameters())


def weight_bytes(model: nn.Module, dtype: torch.dtype) -> int:
    """Memory of the weights made ready to answer: matrices in ``dtype``, what has one dimension in float32."""
    return sum(p.numel() * (dtype.itemsize if p.dim() >= 2 else 4) for p in model.parameters())


def matmul_parameters(model: nn.Module) -> int:
    """Parameters that multiply every token: the matrices of all linear layers, the head among them.

    Tables (token embeddings, positions) are looked up and not counted; of experts only those that a token takes are.
    """
    count = 0
    for module in model.modules():
        if isinstance(module, Linear):
            count += module.weight.numel()
        elif isinstance(module, MixtureOfExperts):
            matrices = [module.experts.gate_up, module.experts.down]
            count += sum(m.numel() // len(m) * module.experts_per_token for m in matrices)
    return count


def flops_per_token(model: nn.Module, length: int) -> float:
    """Training FLOPs a token: 6 x matmul parameters + 12 x H x C x attended length, over the layers (a full square)."""
    attention = sum(12 * m.n_head * m.head_dim * length for m in model.modules() if isinstance(m, Attention))
    return 6.0 * matmul_parameters(model) + attention
