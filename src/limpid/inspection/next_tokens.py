"""What comes next: candidates with their probabilities, and how probable each token of a text was."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace


class Candidate(NamedTuple):
    """A token that may come next. label: as it can be shown."""

    token_id: int
    label: str
    probability: float
    logit: float


class NextTokens(NamedTuple):
    """The table of a place. entropy: of the whole distribution, in bits. rest: the probability of all other tokens."""

    at: int
    candidates: list[Candidate]
    entropy: float
    rest: float

    def _repr_html_(self) -> str:
        from limpid.inspection.markup import bars, framed

        return framed(bars([(c.label, c.probability) for c in self.candidates], percent=True))


class ReadToken(NamedTuple):
    """A token where it stands. probability, rank (1: the most probable) and entropy (bits) are of the distribution
    after what stands before it, None for the first and in a classifier; an encoder's are of the place itself."""

    token_id: int
    probability: float | None
    rank: int | None
    entropy: float | None


def next_tokens(trace: Trace, count: int, at: int = -1) -> NextTokens:
    """The ``count`` most probable tokens after place ``at``."""
    place = trace.place(at)
    return table(trace, torch.from_numpy(trace.logits(place)), count, place)


def table(trace: Trace, logits: Tensor, count: int, place: int) -> NextTokens:
    """The table of logits (V,)."""
    logprobs = logits.double().log_softmax(-1)
    best = logprobs.topk(min(count, len(logits)))
    candidates = [
        Candidate(i, trace.label(i), value, float(logits[i]))
        for i, value in zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    ]
    rest = max(0.0, 1.0 - sum(candidate.probability for candidate in candidates))
    return NextTokens(place, candidates, float(entropy_bits(logprobs)), rest)


def entropy_bits(logprobs: Tensor) -> Tensor:
    """(..., V) natural logs -> (...) bits."""
    return -(logprobs.exp() * logprobs).nan_to_num().sum(-1) / torch.log(torch.tensor(2.0, dtype=logprobs.dtype))


@torch.no_grad()
def read_trace(trace: Trace) -> list[ReadToken]:
    """Each token of the traced text; see `ReadToken`."""
    from limpid.inspection.trace import PLACES

    if trace.subject.task is not None:
        return [ReadToken(token, None, None, None) for token in trace.ids]
    itself = not trace.subject.foretells
    states = trace.hidden if itself else trace.hidden[:-1]
    ids = trace.ids if itself else trace.ids[1:]
    read = [] if itself else [ReadToken(trace.ids[0], None, None, None)]
    for at in range(0, len(states), PLACES):
        logprobs = trace.subject.logits(states[at : at + PLACES]).log_softmax(-1)
        tokens = torch.tensor(ids[at : at + PLACES], device=logprobs.device)
        own = logprobs.gather(1, tokens[:, None])
        ranks = (logprobs > own).sum(1) + 1
        rows = zip(
            tokens.tolist(), own.exp()[:, 0].tolist(), ranks.tolist(), entropy_bits(logprobs).tolist(), strict=True
        )
        read += [ReadToken(*row) for row in rows]
    return read
