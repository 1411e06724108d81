"""One stack of blocks as a text went through it: what entered each block, and everything inside on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limpid.inspection.matrices import Inside, Stage, head_count, mask_of, matrix, pooled
from limpid.inspection.points import Point, block_points
from limpid.inspection.twin import Edit, Kept, Watch, attentions


class Stack:
    """Blocks under watch, and the norm behind them.

    name: "blocks", or "encoder" and "decoder" of a model that has both. ids: the tokens that go in. reads: the stack
    whose output its cross-attention looks at, if it does.
    """

    def __init__(
        self, name: str, ids: Sequence[int], blocks: Iterable[nn.Module], norm: nn.Module, kept: Kept,
        reads: Stack | None = None,
    ) -> None:  # fmt: skip
        self.name, self.ids, self.norm, self.reads = name, list(ids), norm, reads
        self.watches = [Watch(block, kept) for block in blocks]

    @property
    def blocks(self) -> list[nn.Module]:
        return [watch.block for watch in self.watches]

    def __len__(self) -> int:
        return len(self.watches)

    def inside(self, layer: int) -> Inside:
        """Everything block ``layer`` computed."""
        return Inside(self.watches[layer].block, self.watches[layer].inside())

    def entered(self, layer: int) -> Tensor:
        """(T, D): the residual stream as it enters a block; behind the last for ``layer`` = their number."""
        if layer == len(self):
            left = self.watches[-1].left
            assert left is not None
            return left[0]
        args = self.watches[layer].entered
        assert args is not None
        x: Tensor = args[0][0]
        return x

    @cached_property
    def points(self) -> list[dict[str, Point]]:
        """Of each block."""
        return [block_points(block) for block in self.blocks]

    def kinds(self) -> list[str]:
        """The names of its attentions: attn, cross_attn."""
        return list(attentions(self.blocks[0]))

    def heads(self, kind: str = "attn") -> int:
        """H of its attentions."""
        attention: Any = attentions(self.blocks[0])[kind]
        return int(attention.n_head)

    def matrix(self, layer: int, head: int, kind: str = "attn", stage: Stage = "pattern") -> Tensor:
        """(T, S) of one head."""
        return matrix(self.inside(layer), kind, head, stage)

    def mean_pattern(self, layer: int, kind: str = "attn") -> Tensor:
        """(T, S): the mean over the heads of a layer, made one head at a time."""
        inside = self.inside(layer)
        mask, count = mask_of(inside, kind), head_count(inside, kind)
        total = matrix(inside, kind, 0, mask=mask)
        for head in range(1, count):
            total += matrix(inside, kind, head, mask=mask)
        return total / count

    def pooled(self, layer: int, size: int, kind: str = "attn", how: Literal["max", "mean"] = "max") -> Tensor:
        """(H, h, w): every head of a layer, pooled to at most ``size`` a side."""
        inside = self.inside(layer)
        mask = mask_of(inside, kind)
        heads = range(head_count(inside, kind))
        return torch.stack([pooled(matrix(inside, kind, head, mask=mask), size, how) for head in heads])

    def run(self, edits: Mapping[int, Mapping[str, Edit]], memory: Tensor | None = None) -> Tensor:
        """(T, D) behind the last block, with edits by layer and name made on the way; before the norm.

        Begins at the first block that anything changes. memory: what cross-attention looks at instead, (S, D).
        """
        first = 0 if memory is not None else min(edits, default=len(self))
        x = self.entered(first)[None]
        for layer in range(first, len(self)):
            x = self.watches[layer].run(x, edits.get(layer, {}), None if memory is None else memory[None])
        return x[0]
