"""What is asked of a trace, found once: terminal, JSON, pictures and HTML show the same values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens
    from limpid.inspection.parts import Part
    from limpid.inspection.surgery import Effect
    from limpid.inspection.trace import Trace

Section = Literal["lens", "attribution", "scores"]
SECTIONS: tuple[Section, ...] = ("lens", "attribution", "scores")


class Findings(NamedTuple):
    """A trace and what was found in it; None for what was not asked.

    heads: (layer, head) whose matrices are wanted, of attention ``kind`` in ``stack``.
    """

    trace: Trace
    next: NextTokens
    heads: list[tuple[int, int]]
    kind: str
    stack: str | None
    lens: Lens | None = None
    attribution: Attribution | None = None
    scores: HeadScores | None = None
    effect: Effect | None = None
    comparison: Comparison | None = None


def find(
    trace: Trace,
    *,
    at: int = -1,
    count: int = 10,
    sections: Sequence[Section] = (),
    layer: int | None = None,
    head: int | None = None,
    kind: str = "attn",
    stack: str | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    ablate: Sequence[Part | str] = (),
    how: Literal["zero", "mean"] = "zero",
    other: Trace | None = None,
) -> Findings:
    """Ask a trace; the arguments are those of the methods of `Trace` that answer.

    layer, head: the attention of one head, or of a layer's every head. other: another checkpoint's trace, to compare.
    """
    heads = []
    if layer is not None:
        chosen = trace.stack(stack)
        trace.check(chosen, layer, head or 0, kind)
        heads = [(layer, number) for number in ([head] if head is not None else range(chosen.heads(kind)))]
    return Findings(
        trace, trace.next_tokens(count, at), heads, kind, stack,
        lens=trace.lens(count) if "lens" in sections else None,
        attribution=trace.attribution(token, against, at) if "attribution" in sections else None,
        scores=trace.head_scores() if "scores" in sections else None,
        effect=trace.ablate(*ablate, how=how, at=at) if ablate else None,
        comparison=None if other is None else trace.compare(other),
    )  # fmt: skip
