"""The logit lens (nostalgebraist 2020): the residual stream after every layer, read as if it were the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.in_parts import InParts, finish
from limpid.inspection.next_tokens import entropy_bits

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace


class Lens(NamedTuple):
    """What each depth would say. Depth 0 is the embedding, depth l what leaves block l - 1; the last is the model's own
    answer.

    places: (P,) of the text. ids, probabilities: (L + 1, P, k) the most probable tokens, best first. entropy: bits,
    (L + 1, P). ranks, chances: (L + 1, P) rank and probability, at each depth, of the token the model ends up with (or
    of the one that was asked after).
    """

    trace: Trace
    places: list[int]
    ids: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.int64]
    chances: npt.NDArray[np.float32]

    def labels(self, depth: int, place: int) -> list[str]:
        """The candidates of a depth and the ``place``-th of `places`, as they can be shown."""
        return [self.trace.label(int(i)) for i in self.ids[depth, place]]

    def _repr_html_(self) -> str:
        from limpid.inspection.html import lens_table
        from limpid.inspection.markup import framed

        return framed(lens_table(self))


def logit_lens(
    trace: Trace, count: int = 5, places: Sequence[int] | None = None, tokens: Sequence[int] | None = None
) -> Lens:
    """The lens at all places or some; every state goes through the model's final norm and head.

    tokens: whose ranks and chances are followed, one a place; None: the model's own first choices.
    """
    return finish(lens_by_depth(trace, count, places, tokens))


@torch.no_grad()
def lens_by_depth(
    trace: Trace, count: int = 5, places: Sequence[int] | None = None, tokens: Sequence[int] | None = None
) -> InParts[Lens]:
    """As `logit_lens`, a depth at a time."""
    from limpid.inspection.trace import PLACES

    trace.check_weights()
    wanted = [trace.place(at) for at in places] if places is not None else list(range(len(trace)))
    if tokens is None:
        states = [trace.hidden[wanted[at : at + PLACES]] for at in range(0, len(wanted), PLACES)]
        followed = torch.cat([trace.subject.logits(some).argmax(-1) for some in states])
    else:
        known = [trace.token_id(token) for token in tokens]
        if len(known) != len(wanted):
            raise LimpidError(f"the lens follows one token a place: {len(known)} tokens, {len(wanted)} places.")
        followed = torch.tensor(known, device=trace.hidden.device)
    depths = []
    for depth in range(trace.n_layer + 1):
        yield
        final = trace.subject.pooled(trace.main.norm(trace.main.entered(depth)))
        depths.append(_read(trace, final[wanted], followed, count))
    ids, probabilities, entropy, ranks, chances = (
        torch.stack(column).cpu().numpy() for column in zip(*depths, strict=True)
    )
    return Lens(trace, wanted, ids, probabilities, entropy, ranks, chances)


def _read(trace: Trace, states: Tensor, followed: Tensor, count: int) -> tuple[Tensor, ...]:
    from limpid.inspection.trace import PLACES

    found = []
    for at in range(0, len(states), PLACES):
        logprobs = trace.subject.logits(states[at : at + PLACES]).log_softmax(-1)
        best = logprobs.topk(min(count, logprobs.shape[-1]), dim=-1)
        own = logprobs.gather(1, followed[at : at + PLACES, None])
        ranks = (logprobs > own).sum(1) + 1
        found.append((best.indices, best.values.exp(), entropy_bits(logprobs), ranks, own[:, 0].exp()))
    return tuple(torch.cat(column) for column in zip(*found, strict=True))
