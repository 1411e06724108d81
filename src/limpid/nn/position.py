"""Positions: how a model that sees a set of vectors learns their order."""

from __future__ import annotations

import torch
from torch import Tensor


def rope_tables(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding (Su et al. 2021, section 3.4.2).

    Args:
        positions: (T,) or (B, T), integer.
        head_dim: C, even; pair i turns by ``position * base**(-2i/C)`` radians.
        base: theta, 10,000 in the paper; larger bases turn more slowly and serve longer contexts.

    Returns:
        cos, sin: positions.shape + (C/2,), float32.
    """
    frequencies = base ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim)
    angles = positions[..., None].float() * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + C/2]) by its position's angle: the half-split pairing of Llama checkpoints.

    Shapes: x (B, T, H, C); cos, sin (T, C/2) or (B, T, C/2), broadcast over heads. Computed in float32.
    """
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)  # (..., T, 1, C/2)
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
