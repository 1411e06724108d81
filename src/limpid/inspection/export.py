"""What was found as plain JSON values; and matrices as raw buffers, for those who draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from limpid.models.count import parameters

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.findings import Findings
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens
    from limpid.inspection.surgery import Effect
    from limpid.inspection.trace import Trace


def as_dict(findings: Findings) -> dict[str, Any]:
    """Findings as JSON values: model, tokens, names with shapes, what comes next; and what was asked for."""
    trace = findings.trace
    found: dict[str, Any] = {
        "model": {
            "family": trace.subject.model.config.family, "parameters": parameters(trace.subject.model),
            "n_layer": trace.n_layer, "n_head": trace.n_head,
        },
        "tokens": tokens(trace),
        "names": {name: list(shape) for name, shape in trace.names().items()},
        "next": next_tokens(findings.next),
    }  # fmt: skip
    if len(trace.stacks) > 1:
        found["source"] = [_token(token) for token in trace.tokens_of(trace.stack("encoder"))]
    if findings.heads:
        found["attention"] = [
            {
                "layer": layer, "head": head, "kind": findings.kind, "stack": trace.stack(findings.stack).name,
                "weights": trace.pattern(layer, head, kind=findings.kind, stack=findings.stack).tolist(),
            }
            for layer, head in findings.heads
        ]  # fmt: skip
    if findings.lens is not None:
        found["lens"] = lens(findings.lens)
    if findings.attribution is not None:
        found["attribution"] = attribution(findings.attribution)
    if findings.scores is not None:
        found["head_scores"] = head_scores(findings.scores)
    if findings.effect is not None:
        found["ablation"] = effect(findings.effect)
    if findings.comparison is not None:
        found["comparison"] = comparison(findings.comparison)
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


def triangle(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(T, T) -> (T (T + 1) / 2,): each row up to its diagonal, one after the other: all there is of a causal head."""
    return matrix[np.tril_indices(len(matrix))]


def byte_buffer(matrix: npt.NDArray[np.floating]) -> tuple[bytes, float, float]:
    """A matrix as bytes, row by row, with the numbers that 0 and 255 stand for: one byte a number.

    Numbers that are not finite (scores under a mask) are written as the lowest.
    """
    finite = matrix[np.isfinite(matrix)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    span = (high - low) or 1.0
    steps = np.rint(np.nan_to_num((matrix - low) / span, nan=0.0, neginf=0.0, posinf=1.0).clip(0, 1) * 255)
    return steps.astype(np.uint8).tobytes(), low, high
