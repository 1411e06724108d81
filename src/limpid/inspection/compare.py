"""Two checkpoints on one text: where they agree, where their insides part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from limpid.core.errors import LimpidError
from limpid.inspection.next_tokens import NextTokens

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace

Floats = npt.NDArray[np.float32]


class Comparison(NamedTuple):
    """The first trace beside the second, of the same tokens.

    divergence: (T,) KL(first || second) of the next token, in bits. agree: (T,) whether both find the same token most
    probable. Where the models have one shape, else None: residual: (L + 1, T) cosine of the streams as they enter each
    layer and leave the last; attention: (L, H) half the sum of the differences of a head's weights, the mean over its
    queries (0: the same, 1: nothing in common).
    """

    first: Trace
    second: Trace
    divergence: Floats
    agree: npt.NDArray[np.bool_]
    residual: Floats | None
    attention: Floats | None

    def next_tokens(self, count: int = 10, at: int = -1) -> tuple[NextTokens, NextTokens]:
        """Both tables of a place."""
        return self.first.next_tokens(count, at), self.second.next_tokens(count, at)

    def _repr_html_(self) -> str:
        from limpid.inspection.html import comparison_view
        from limpid.inspection.markup import framed

        return framed(comparison_view(self))


@torch.no_grad()
def compare(first: Trace, second: Trace) -> Comparison:
    """See `Comparison`.

    Raises:
        LimpidError: the traces are of different tokens or vocabularies.
    """
    from limpid.inspection.trace import PLACES

    if any(
        a.ids != b.ids for a, b in zip(first.stacks.values(), second.stacks.values(), strict=False)
    ) or first.stacks.keys() != second.stacks.keys():  # fmt: skip
        raise LimpidError(
            "the two traces are not of the same tokens; compare checkpoints of one tokenizer on one text."
        )
    if first.subject.outputs != second.subject.outputs or (first.subject.task is None) != (second.subject.task is None):
        raise LimpidError(
            "the two models choose among different tokens or classes; their predictions cannot be compared."
        )
    divergence, agree = [], []
    for at in range(0, len(first), PLACES):
        p, q = (
            t.subject.logits(t.hidden[at : at + PLACES]).double().log_softmax(-1).cpu() for t in (first, second)
        )  # fmt: skip
        divergence.append((p.exp() * (p - q)).nan_to_num().sum(-1) / np.log(2))
        agree.append(p.argmax(-1) == q.argmax(-1))
    residual = attention = None
    if _one_shape(first, second):
        residual = np.stack([
            F.cosine_similarity(first.main.entered(n).float(), second.main.entered(n).float(), dim=-1).cpu().numpy()
            for n in range(first.n_layer + 1)
        ])  # fmt: skip
        attention = np.array([
            [
                float((first.main.matrix(layer, head) - second.main.matrix(layer, head)).abs().sum(-1).mean()) / 2
                for head in range(first.n_head)
            ]
            for layer in range(first.n_layer)
        ], dtype=np.float32)  # fmt: skip
    bits = torch.cat(divergence).clamp(min=0).float().numpy()
    return Comparison(first, second, bits, torch.cat(agree).numpy(), residual, attention)


def _one_shape(first: Trace, second: Trace) -> bool:
    mine, theirs = first.subject.model.config, second.subject.model.config
    return all(getattr(mine, key) == getattr(theirs, key) for key in ("d_model", "n_layer", "n_head"))
