"""One row of a conversion table: a tensor of ours, and the tensors that Hugging Face keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Row(NamedTuple):
    """``join`` makes our tensor of theirs, ``split`` theirs of ours; both work on the meta device as well."""

    ours: str
    theirs: tuple[str, ...]
    join: Callable[[Sequence[Tensor]], Tensor]
    split: Callable[[Tensor], Sequence[Tensor]]
    transposed: bool = False


class Layout(NamedTuple):
    """A model as Hugging Face keeps it.

    config: what stands in config.json. rows: every tensor, in the order of the layers. ignored: patterns of what
    older files hold beside the weights (masks, tables that are computed).
    prefix: what files saved from the bare decoder, without its head, leave out before every name.
    tied: other names under which the embedding may stand once more.
    """

    config: dict[str, Any]
    rows: list[Row]
    ignored: tuple[str, ...] = ()
    prefix: str = ""
    tied: tuple[str, ...] = ("lm_head.weight",)


def same(ours: str, theirs: str) -> Row:
    """The same tensor under another name."""
    return Row(ours, (theirs,), lambda parts: parts[0], lambda whole: (whole,))


def transposed(ours: str, theirs: str) -> Row:
    """A matrix that they keep as (d_in, d_out)."""
    return Row(ours, (theirs,), lambda parts: parts[0].T, lambda whole: (whole.T,), transposed=True)


def fused(ours: str, theirs: Sequence[str], sizes: Sequence[int]) -> Row:
    """Several of their matrices (or biases), one below the other in ours; sizes: the rows of each."""
    return Row(ours, tuple(theirs), torch.cat, lambda whole: whole.split(list(sizes)))  # type: ignore[arg-type]


def stacked(ours: str, theirs: Sequence[str], join_each: Sequence[int] = ()) -> Row:
    """Their matrices of every expert, ours in one tensor (E, ...).

    join_each: where each expert has several that are one in ours, the rows of each; ``theirs`` lists expert by expert.
    """
    each = max(1, len(join_each))

    def join(parts: Sequence[Tensor]) -> Tensor:
        return torch.stack([torch.cat(list(parts[i : i + each])) for i in range(0, len(parts), each)])

    def split(whole: Tensor) -> list[Tensor]:
        return [part for expert in whole for part in (expert.split(list(join_each)) if join_each else (expert,))]

    return Row(ours, tuple(theirs), join, split)


def to_theirs(rows: Sequence[Row], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our named tensors in their spelling."""
    return {name: part for row in rows for name, part in zip(row.theirs, row.split(tensors[row.ours]), strict=True)}
