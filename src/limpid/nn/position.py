"""Positions: how a model that sees a set of vectors learns their order."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from limpid.nn.rope_scaling import RopeScaling


def rope_tables(
    positions: Tensor, head_dim: int, base: float, scaling: RopeScaling | None = None
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding (Su et al. 2021, section 3.4.2).

    Args:
        positions: (T,) or (B, T), integer.
        head_dim: C, even; pair i turns by ``position * base**(-2i/C)`` radians.
        base: theta, 10,000 in the paper; larger bases turn more slowly and serve longer contexts.
        scaling: how the pairs are slowed past the context they were trained for.

    Returns:
        cos, sin: positions.shape + (C/2,), float32.
    """
    frequencies = base ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim)
    if scaling is not None:
        frequencies = scaling.slowed(frequencies, base)
    angles = positions[..., None].float() * frequencies
    if scaling is not None and scaling.length != 1:
        return angles.cos() * scaling.length, angles.sin() * scaling.length
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + C/2]) by its position's angle: the half-split pairing of Llama checkpoints.

    Shapes: x (B, T, H, C); cos, sin (T, C/2) or (B, T, C/2), broadcast over heads. Computed in float32.
    """
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)  # (..., T, 1, C/2)
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class Rotary(nn.Module):
    """Rotary position embedding: positions (T,) or (B, T) -> cosines and sines for `rotate`. It holds no weights."""

    def __init__(self, head_dim: int, base: float, scaling: RopeScaling | None = None) -> None:
        super().__init__()
        self.head_dim, self.base, self.scaling = head_dim, base, scaling

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        return rope_tables(positions, self.head_dim, self.base, self.scaling)


class LearnedPositions(nn.Module):
    """A lookup table of one vector a place (Radford et al. 2018). Shapes: (T,) or (B, T) -> (.., T, D)."""

    def __init__(self, context: int, d_model: int, *, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context, d_model))
        self.std = std

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.normal_(self.weight, std=self.std, generator=generator)

    def forward(self, positions: Tensor) -> Tensor:
        return nn.functional.embedding(positions, self.weight)


class SinusoidalPositions(nn.Module):
    """Sines on even, cosines on odd dimensions (Vaswani et al. 2017, section 3.5); any length, no weights.

    PE(pos, 2i) = sin(pos / 10000^(2i/D)), PE(pos, 2i+1) = cos of the same. Shapes: (T,) or (B, T) -> (.., T, D).
    halves: all sines first, then all cosines, as Marian lays them out.
    """

    def __init__(self, d_model: int, *, halves: bool = False) -> None:
        super().__init__()
        self.d_model = d_model
        self.halves = halves

    def forward(self, positions: Tensor) -> Tensor:
        even = torch.arange(0, self.d_model, 2, device=positions.device, dtype=torch.float32)
        angles = positions[..., None].float() * torch.exp(even * (-math.log(10_000.0) / self.d_model))
        if self.halves:
            return torch.cat((angles.sin(), angles.cos()), dim=-1)[..., : self.d_model]
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., : self.d_model]
