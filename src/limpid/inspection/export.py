"""What was found as plain JSON values; and matrices as raw buffers, for those who draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from limpid.inspection.parts import Part
from limpid.models.count import parameters

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens
    from limpid.inspection.surgery import Effect
    from limpid.inspection.trace import Trace

Section = Literal["lens", "attribution", "scores"]


def as_dict(
    trace: Trace,
    *,
    at: int = -1,
    count: int = 10,
    sections: Sequence[Section] = (),
    attention: Sequence[tuple[int, int]] = (),
    kind: str = "attn",
    stack: str | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    ablate: Sequence[Part | str] = (),
    how: Literal["zero", "mean"] = "zero",
) -> dict[str, Any]:
    """A trace as JSON values: model, tokens, names with shapes, what comes next; and what is asked for.

    attention: (layer, head) of the matrices to be written out, of ``kind`` and ``stack``. The other arguments are
    those of the methods of `Trace` that answer them.
    """
    found: dict[str, Any] = {
        "model": {
            "family": trace.subject.model.config.family, "parameters": parameters(trace.subject.model),
            "n_layer": trace.n_layer, "n_head": trace.n_head,
        },
        "tokens": tokens(trace),
        "names": {name: list(shape) for name, shape in trace.names().items()},
        "next": next_tokens(trace.next_tokens(count, at)),
    }  # fmt: skip
    if len(trace.stacks) > 1:
        found["source"] = [_token(token) for token in trace.tokens_of(next(iter(trace.stacks.values())))]
    if attention:
        found["attention"] = [
            {
                "layer": layer, "head": head, "kind": kind, "stack": trace.stack(stack).name,
                "weights": trace.pattern(layer, head, kind=kind, stack=stack).tolist(),
            }
            for layer, head in attention
        ]  # fmt: skip
    if "lens" in sections:
        found["lens"] = lens(trace.lens(count))
    if "attribution" in sections:
        found["attribution"] = attribution(trace.attribution(token, against, at))
    if "scores" in sections:
        found["head_scores"] = head_scores(trace.head_scores())
    if ablate:
        found["ablation"] = effect(trace.ablate(*ablate, how=how, at=at))
    return found


def tokens(trace: Trace) -> list[dict[str, Any]]:
    """Each token, and how probable it was where it stands."""
    return [
        _token(token) | {"probability": read.probability, "rank": read.rank, "entropy": read.entropy}
        for token, read in zip(trace.tokens, trace.read(), strict=True)
    ]


def _token(token: Any) -> dict[str, Any]:
    return {
        "id": token.token_id, "label": token.label, "bytes": list(token.raw), "character": token.character,
        "completes": token.completes,
    }  # fmt: skip


def next_tokens(found: NextTokens) -> dict[str, Any]:
    candidates = [candidate._asdict() for candidate in found.candidates]
    return {"at": found.at, "entropy": found.entropy, "rest": found.rest, "candidates": candidates}


def lens(found: Lens) -> dict[str, Any]:
    """By depth, from the embedding on, then by place: candidates, best first."""
    return {
        "places": found.places,
        "depths": [
            [
                [
                    {"token_id": int(i), "label": label, "probability": float(p)}
                    for i, label, p in zip(found.ids[d, n], found.labels(d, n), found.probabilities[d, n], strict=True)
                ]
                for n in range(len(found.places))
            ]
            for d in range(len(found.ids))
        ],
        "entropy": found.entropy.tolist(),
        "ranks": found.ranks.tolist(),
        "chances": found.chances.tolist(),
    }


def attribution(found: Attribution) -> dict[str, Any]:
    return {
        "at": found.at, "token_id": found.token_id, "against": found.against, "title": found.title,
        "logit": found.logit, "total": found.total, "embeddings": found.embeddings,
        "heads": {kind: table.tolist() for kind, table in found.heads.items()},
        "attention_biases": {kind: table.tolist() for kind, table in found.attention_biases.items()},
        "feed_forward": found.feed_forward.tolist(), "biases": found.biases,
    }  # fmt: skip


def head_scores(found: HeadScores) -> dict[str, Any]:
    tables = {name: getattr(found, name).tolist() for name in ("previous", "first", "duplicate", "induction")}
    return tables | {"length": found.length}


def effect(found: Effect) -> dict[str, Any]:
    return {
        "title": found.title, "at": found.at, "divergence": found.divergence,
        "changes": [change._asdict() for change in found.changes()],
    }  # fmt: skip


def comparison(found: Comparison) -> dict[str, Any]:
    return {
        "divergence": found.divergence.tolist(), "agree": found.agree.tolist(),
        "residual": None if found.residual is None else found.residual.tolist(),
        "attention": None if found.attention is None else found.attention.tolist(),
    }  # fmt: skip


def half_buffer(matrix: npt.NDArray[np.floating]) -> bytes:
    """A matrix as little-endian float16, row by row: two bytes a number, weights of attention to within 2.5e-4."""
    return matrix.astype("<f2").tobytes()


def byte_buffer(matrix: npt.NDArray[np.floating]) -> tuple[bytes, float, float]:
    """A matrix as bytes, row by row, with the numbers that 0 and 255 stand for: one byte a number.

    Numbers that are not finite (scores under a mask) are written as the lowest.
    """
    finite = matrix[np.isfinite(matrix)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    span = (high - low) or 1.0
    steps = np.rint(np.nan_to_num((matrix - low) / span, nan=0.0, neginf=0.0, posinf=1.0).clip(0, 1) * 255)
    return steps.astype(np.uint8).tobytes(), low, high
