"""Attention as matrices, one head at a time: made from the queries and keys of a trace when they are asked for."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from limpid.nn.attention import causal_mask

Stage = Literal["raw", "scaled", "masked", "pattern"]
"""q k^T; that over sqrt(C); with -inf where a query may not look; its softmax over the keys."""


class Inside(NamedTuple):
    """What one block computed: the tensors a `Watch` noted, with their batch of one."""

    block: nn.Module
    notes: dict[str, Tensor]


def mask_of(inside: Inside, name: str) -> Tensor:
    """(T, S) additive: 0 where a query may look, -inf where not."""
    mask = inside.notes.get(f"{name}.mask")
    queries, keys = (inside.notes[f"{name}.kernel_{part}"] for part in "qk")
    if mask is None:
        return causal_mask(queries.shape[2], torch.float32, queries.device)
    return mask.float().reshape(-1, mask.shape[-1]).expand(queries.shape[2], keys.shape[2])


def matrix(inside: Inside, name: str, head: int, stage: Stage = "pattern", mask: Tensor | None = None) -> Tensor:
    """(T, S) float32 of one head of the attention ``name`` of a block. mask: `mask_of` its, where it is at hand."""
    q, k = inside.notes[f"{name}.kernel_q"][0], inside.notes[f"{name}.kernel_k"][0]  # (H, T, C), (K, S, C)
    queries, keys = q[head].float(), k[head // (len(q) // len(k))].float()
    if stage == "raw":
        return queries @ keys.T
    scores = (queries * queries.shape[1] ** -0.5) @ keys.T
    if stage == "scaled":
        return scores
    scores = scores + (mask_of(inside, name) if mask is None else mask)
    return scores if stage == "masked" else scores.softmax(-1)


def matrices(inside: Inside, name: str, stage: Stage = "pattern") -> Tensor:
    """(H, T, S) float32: all heads of an attention."""
    mask = mask_of(inside, name)
    return torch.stack([matrix(inside, name, head, stage, mask) for head in range(head_count(inside, name))])


def head_count(inside: Inside, name: str) -> int:
    """H of the attention ``name``."""
    return inside.notes[f"{name}.kernel_q"].shape[1]


def pooled(weights: Tensor, size: int, how: Literal["max", "mean"] = "max") -> Tensor:
    """(T, S) -> at most (size, size): each cell the largest weight, or the mean, of the part it stands for.

    The largest, because rows of attention sum to one: among many keys a mean is dim wherever the eye should go.
    """
    shape = (min(size, weights.shape[-2]), min(size, weights.shape[-1]))
    pool = nn.functional.adaptive_max_pool2d if how == "max" else nn.functional.adaptive_avg_pool2d
    return pool(weights[None, None], shape)[0, 0]


def as_bytes(weights: Tensor) -> Tensor:
    """Numbers from 0 to 1 as uint8: byte / 255 is within 1/510 of the number."""
    return (weights.clamp(0, 1) * 255).round().to(torch.uint8)


def rolled_out(patterns: list[Tensor]) -> Tensor:
    """Attention rollout (Abnar & Zuidema 2020, section 3): how much of each input token is in each output, (T, T).

    patterns: of each layer the mean over its heads, (T, T). Each layer keeps half of what it had, for the residual
    connection, and takes half through attention. Rows sum to one.
    """
    rollout = torch.eye(len(patterns[0]), dtype=torch.float32, device=patterns[0].device)
    for pattern in patterns:
        rollout = (0.5 * pattern @ rollout) + 0.5 * rollout
    assert math.isfinite(float(rollout.sum()))
    return rollout
