"""What heads are known for: looking at the previous, the first, a duplicate token, and induction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.in_parts import InParts, finish
from limpid.models.encoder_decoder import EncoderDecoder

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace

Floats = npt.NDArray[np.float32]
LENGTH = 48
"""Random tokens that are repeated, where the context allows."""


class HeadScores(NamedTuple):
    """Scores from 0 to 1 of every head, each (L, H): the mean attention that its queries pay.

    previous: to the token before; first: to the first token; both over the traced text, its first token left out.
    duplicate: to the same token's earlier place; induction: to the token after that place (Olsson et al. 2022); both
    over the second half of a row of random tokens that is said twice, ``length`` each.
    """

    previous: Floats
    first: Floats
    duplicate: Floats
    induction: Floats
    length: int

    def best(self, kind: str) -> tuple[int, int]:
        """(layer, head) of the largest score."""
        table: Floats = getattr(self, kind)
        layer, head = np.unravel_index(int(table.argmax()), table.shape)
        return int(layer), int(head)

    def _repr_html_(self) -> str:
        from limpid.inspection.html import head_score_tables
        from limpid.inspection.markup import framed

        return framed(head_score_tables(self))


def head_scores(trace: Trace, *, length: int | None = None, seed: int = 0) -> HeadScores:
    """The scores of the main stack's self-attention. length: of the random row; None: 48, or what the context allows.

    Raises:
        LimpidError: a length that does not fit twice into the context.
    """
    return finish(head_scores_by_layer(trace, length=length, seed=seed))


@torch.no_grad()
def head_scores_by_layer(trace: Trace, *, length: int | None = None, seed: int = 0) -> InParts[HeadScores]:
    """As `head_scores`, a layer at a time."""
    said_twice, start, length = _repeated(trace, length, seed)
    tables: dict[str, list[list[float]]] = {"previous": [], "first": [], "duplicate": [], "induction": []}
    second = torch.arange(start + length, start + 2 * length)
    later = torch.arange(1, len(trace))
    for layer in range(trace.n_layer):
        yield
        for table in tables.values():
            table.append([])
        for head in range(trace.n_head):
            own = trace.main.matrix(layer, head)
            repeated = said_twice.main.matrix(layer, head)
            tables["previous"][-1].append(_mean(own, later, later - 1))
            tables["first"][-1].append(_mean(own, later, torch.zeros_like(later)))
            tables["duplicate"][-1].append(_mean(repeated, second, second - length))
            tables["induction"][-1].append(_mean(repeated, second, second - length + 1))
    return HeadScores(**{name: np.array(rows, dtype=np.float32) for name, rows in tables.items()}, length=length)


def _mean(pattern: Tensor, queries: Tensor, keys: Tensor) -> float:
    return float(pattern[queries, keys].mean()) if len(queries) else 0.0


def _repeated(trace: Trace, length: int | None, seed: int) -> tuple[Trace, int, int]:
    """A trace of random tokens said twice, where they begin, and how many they are."""
    from limpid.inspection.trace import trace as take

    model, tokenizer = trace.subject.original, trace.tokenizer
    cross = isinstance(model, EncoderDecoder)
    opening = [] if tokenizer is None or cross else tokenizer.opening
    start = 1 if cross else len(opening)
    room = (model.config.context - start) // 2
    if length is None:
        length = min(LENGTH, room)
    if not 2 <= length <= room:
        raise LimpidError(f"{length} random tokens said twice do not fit: this model's context allows 2 to {room}.")
    special = frozenset() if tokenizer is None else tokenizer.special_ids
    ordinary = np.array([i for i in range(model.config.vocab_size) if i not in special])
    row = np.random.default_rng(seed).choice(ordinary, length, replace=len(ordinary) < length).tolist()
    if cross:
        source = trace.stack("encoder").ids
        return take(model, source, tokenizer, target=row + row, dtype=trace.subject.dtype), start, length
    return take(model, [*opening, *row, *row], tokenizer, dtype=trace.subject.dtype), start, length
