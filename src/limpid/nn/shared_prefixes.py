"""Attention of texts that begin alike: what several of them share is computed once, and all of them look at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.nn.attention import causal_mask, visible_mask

LENGTH_STEP = 16
"""Lengths inside of attention are multiples of this: each new shape costs oneDNN a kernel."""
ALIKE, FEWEST = 0.6, 8
"""Rests are padded together while each has so much of the longest one's length, or while there are so few of them."""

Attend = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""(kernel, queries (1, N, H, C), keys and values (1, N, K, C)) -> (1, N, H, C)."""


class _Block(NamedTuple):
    """R texts padded to one length: tokens start..stop-1 of the row, token i at ``slots[i]`` of (R x length) places.
    owners: (R,) the number of each one's prefix."""

    start: int
    stop: int
    length: int
    slots: Tensor
    owners: Tensor


class SharedPrefixes:
    """A row of N tokens: all prefixes, then the rest of every text, then perhaps padding.

    A prefix sees itself; a rest sees its prefix and itself; both from left to right. All but attention treat the row
    as any other, so that nothing is computed twice and padding costs nothing outside of attention.

    Args:
        prefixes: the lengths of the prefixes.
        owners: of each rest, the number of its prefix; one of length 0 stands for none.
        rests: the lengths of the rests, falling, so that those padded together are alike.
    """

    def __init__(
        self, prefixes: Sequence[int], owners: Sequence[int], rests: Sequence[int], device: torch.device
    ) -> None:
        self.device = device
        self.lengths = torch.tensor(prefixes, device=device)  # (U,)
        self.prefixes = self._block(0, prefixes, range(len(prefixes)))
        self.rests: list[_Block] = []
        first, at = 0, self.prefixes.stop
        for number in range(1, len(rests) + 1):
            alike = number < len(rests) and rests[number] >= ALIKE * rests[first]
            if number == len(rests) or (not alike and number - first >= FEWEST):
                self.rests.append(self._block(at, rests[first:number], owners[first:number]))
                first, at = number, self.rests[-1].stop
        self.tokens = at

    def _block(self, start: int, lengths: Sequence[int], owners: Sequence[int]) -> _Block:
        length = -(-max(lengths, default=0) // LENGTH_STEP) * LENGTH_STEP
        slots = torch.cat([torch.arange(count) + row * length for row, count in enumerate(lengths)])
        owned = torch.tensor(owners, dtype=torch.int64, device=self.device)
        return _Block(start, start + len(slots), length, slots.to(self.device), owned)

    def positions(self, places: int) -> Tensor:
        """(places,): of each token of the row, its place in its text; 0 for the padding after the last."""
        found = [self.prefixes.slots % max(1, self.prefixes.length)]
        for block in self.rests:
            row = block.slots.div(block.length, rounding_mode="floor")
            found.append(self.lengths[block.owners][row] + block.slots % block.length)
        return F.pad(torch.cat(found), (0, places - self.tokens))

    def attention(self, dtype: torch.dtype, window: int) -> Attend:
        """What the layers of that window (0: all) compute; masks are made here, once for all of them."""
        length = self.prefixes.length
        own = causal_mask(length, dtype, self.device, window) if 0 < window < length else None
        masks = [self._mask(block, dtype, window) for block in self.rests]

        def attend(kernel: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return self._attend(kernel, q, k, v, own, masks)

        return attend

    def _mask(self, block: _Block, dtype: torch.dtype, window: int) -> Tensor:
        """(R, 1, length, prefix + length), additive."""
        begins = self.lengths[block.owners][:, None]  # (R, 1)
        queries = begins + torch.arange(block.length, device=self.device)  # (R, length), places in the text
        keys = torch.arange(self.prefixes.length, device=self.device)
        never = torch.iinfo(keys.dtype).max  # the place of what pads a prefix
        places = torch.cat((torch.where(keys < begins, keys, never), queries), dim=1)
        return visible_mask(queries, places, dtype, window)

    def _attend(
        self, kernel: nn.Module, q: Tensor, k: Tensor, v: Tensor, own: Tensor | None, masks: list[Tensor]
    ) -> Tensor:
        mixed: list[Tensor] = []
        shared = [x[:, :, :0] for x in (k, v)]
        if self.prefixes.length:
            ours, *shared = (_padded(x, self.prefixes) for x in (q, k, v))
            mixed.append(_unpadded(kernel(ours, *shared, own), self.prefixes))
        for block, mask in zip(self.rests, masks, strict=True):
            ours, *rest = (_padded(x, block) for x in (q, k, v))
            if self.prefixes.length:
                rest = [torch.cat(pair, dim=2) for pair in zip(_given(shared, block.owners), rest, strict=True)]
            mixed.append(_unpadded(kernel(ours, *rest, mask), block))
        tokens = torch.cat(mixed)
        return F.pad(tokens, (0, 0, 0, 0, 0, q.shape[1] - len(tokens)))[None]


def _padded(x: Tensor, block: _Block) -> Tensor:
    """(1, N, H, C) -> (R, H, length, C), zeros where a text has ended."""
    tokens, rows = x[0, block.start : block.stop], len(block.owners)
    table = tokens.new_zeros(rows * block.length, *tokens.shape[1:]).index_copy(0, block.slots, tokens)
    return table.unflatten(0, (rows, block.length)).transpose(1, 2)


def _unpadded(x: Tensor, block: _Block) -> Tensor:
    """(R, H, length, C) -> (n, H, C), the tokens that are there."""
    return picked(x.transpose(1, 2).flatten(0, 1), block.slots)


def _given(prefixes: Sequence[Tensor], owners: Tensor) -> list[Tensor]:
    """Of each (U, K, P, C), its rows for their owners: (R, K, P, C)."""
    found: list[Tensor] = [_Given.apply(each, owners) for each in prefixes]
    return found


def picked(x: Tensor, slots: Tensor) -> Tensor:
    """``x[slots]``, where no slot comes twice: gradients are put in their places; torch would add them up, slowly."""
    found: Tensor = _Picked.apply(x, slots)
    return found


class _Rows(torch.autograd.Function):
    """``x[places]``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(x)
        return x.index_select(0, places)


class _Given(_Rows):
    """The gradients of those who share a row are summed by a product, and so rounded once."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (owners,) = ctx.saved_tensors
        (grad,) = grads
        shares = F.one_hot(owners, ctx.rows).T.to(grad.dtype)  # (U, R)
        return (shares @ grad.flatten(1)).view(ctx.rows, *grad.shape[1:]), None


class _Picked(_Rows):
    """Nobody shares a row."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (slots,) = ctx.saved_tensors
        (grad,) = grads
        return grad.new_zeros(ctx.rows, *grad.shape[1:]).index_copy(0, slots, grad), None
