"""Where a place looks most: over all layers and heads, the earlier tokens with the largest weights of attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace


class Look(NamedTuple):
    """One head's largest weights at a place. kind: attn, or cross_attn, whose places are the source's."""

    kind: str
    layer: int
    head: int
    places: list[int]
    weights: list[float]


@torch.no_grad()
def gaze(trace: Trace, at: int = -1, count: int = 8, each: int = 3) -> list[Look]:
    """The ``count`` heads of the main stack that look most at one token other than the first and the place itself,
    each with its ``each`` largest weights among those tokens, largest first.

    The first token and the place itself are left out because heads that have nothing to do rest there (attention sinks:
    Xiao et al. 2024): what is left is what was looked up. A text of which nothing is left has no looks.
    """
    place, found = trace.place(at), []
    for kind in trace.main.kinds():
        for layer in range(len(trace.main)):
            for head in range(trace.main.heads(kind)):
                row = trace.main.matrix(layer, head, kind)[place].clone()
                if kind == "attn":
                    row[[0, place]] = 0.0
                best = row.topk(min(each, len(row)))
                kept = [(p, w) for p, w in zip(best.indices.tolist(), best.values.tolist(), strict=True) if w > 0]
                if kept:
                    found.append(Look(kind, layer, head, [p for p, _ in kept], [w for _, w in kept]))
    return sorted(found, key=lambda look: -look.weights[0])[:count]
