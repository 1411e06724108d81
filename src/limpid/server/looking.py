"""/api/trace/ID/...: what is inside a traced text, as the page asks for it: matrices raw, findings as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from limpid.core.errors import LimpidError
from limpid.core.in_parts import InParts
from limpid.inspection import export
from limpid.inspection.head_scores import head_scores_by_layer
from limpid.inspection.lens import lens_by_depth
from limpid.inspection.matrices import Stage
from limpid.inspection.surgery import Sites, Sweep, patch_by_layer
from limpid.inspection.trace import Trace
from limpid.server.insides import Insides
from limpid.server.requests import Body
from limpid.server.slices import part, raw
from limpid.server.state import State, read_fields, read_model_body
from limpid.server.stream import Json
from limpid.server.tracing import TraceBody, take

T = TypeVar("T")
MAX_BYTES = 2**20
"""Of a body that says what to take out or exchange."""
Parts = Annotated[list[str], Field(min_length=1, max_length=256)]


class AblateBody(Body):
    """parts: as `inspection.parts` writes them, ``head:0.3``."""

    parts: Parts
    how: Literal["zero", "mean"] = "zero"
    at: int = -1


class PatchBody(Body):
    """source: the id of the trace whose values are put in. places: of the tokens where they are; absent: all."""

    source: str
    parts: Parts
    places: list[int] | None = None
    at: int = -1


class SweepBody(Body):
    """This trace is the corrupted text's, ``source`` the clean one's; see `surgery.patch_each`."""

    source: str
    answer: int | str
    wrong: int | str
    kind: Sites = "resid"
    at: int = -1


def add_looking(app: FastAPI, state: State) -> None:
    """The routes that open a model on a text."""
    insides = state.insides
    _add_taking(app, state, insides)
    _add_matrices(app, _Asked(state, insides))
    _add_findings(app, _Asked(state, insides))
    _add_surgery(app, _Asked(state, insides))


class _Asked:
    """Runs what is asked of a trace, where traces are."""

    def __init__(self, state: State, insides: Insides) -> None:
        self._state, self._insides = state, insides

    def find(self, trace_id: str) -> Trace:
        """On the thread of traces, and only there."""
        return self._insides.find(trace_id).trace

    async def __call__(self, request: Request, trace_id: str, work: Callable[[Trace], T]) -> T:
        self._state.ready()
        return await self._insides.do(request, lambda: work(self.find(trace_id)))

    async def long(
        self, request: Request, trace_id: str, work: Callable[[Trace], InParts[T]], tell: Callable[[T], dict[str, Any]]
    ) -> dict[str, Any]:
        """What ``tell`` makes of long work; others go before it and between its parts."""
        self._state.ready()

        def parts() -> InParts[dict[str, Any]]:
            return tell((yield from work(self.find(trace_id))))

        return await self._insides.do_long(request, parts)

    async def two(self, request: Request, first: str, second: str, work: Callable[[Trace, Trace], T]) -> T:
        self._state.ready()
        return await self._insides.do(request, lambda: work(self.find(first), self.find(second)))


def _add_taking(app: FastAPI, state: State, insides: Insides) -> None:
    @app.post("/api/trace", include_in_schema=False)
    async def taking(request: Request) -> Response:
        served, body = await read_model_body(state, request, TraceBody)
        return Json(await insides.do(request, take, insides, served, body))


def _add_matrices(app: FastAPI, asked: _Asked) -> None:
    @app.get("/api/trace/{trace_id}/array", include_in_schema=False)
    async def array(request: Request, trace_id: str, name: str, index: str = "") -> Response:
        return raw(await asked(request, trace_id, lambda trace: part(trace, name, index)))

    @app.get("/api/trace/{trace_id}/heads", include_in_schema=False)
    async def heads(
        request: Request, trace_id: str, layer: int, stack: str | None = None, kind: str = "attn",
        size: Annotated[int, Query(ge=1, le=128)] = 64,
    ) -> Response:  # fmt: skip
        """The heads of a layer at a glance: (H, h, w) bytes."""
        return raw(await asked(request, trace_id, lambda t: t.thumbnails(size, layer=layer, kind=kind, stack=stack)))

    @app.get("/api/trace/{trace_id}/head/{layer}/{head}", include_in_schema=False)
    async def head(
        request: Request, trace_id: str, layer: int, head: int, stack: str | None = None, kind: str = "attn",
        stage: Stage = "pattern",
    ) -> Response:  # fmt: skip
        """One head, (T, S); of a causal one's weights and masked scores, each row up to its diagonal."""

        def work(trace: Trace) -> Response:
            matrix = trace.pattern(layer, head, kind=kind, stage=stage, stack=stack)
            causal = kind == "attn" and _causal(trace, stack) and stage in ("pattern", "masked")
            return raw(matrix, "triangle" if causal else "whole")

        return await asked(request, trace_id, work)

    @app.get("/api/trace/{trace_id}/rollout", include_in_schema=False)
    async def rollout(request: Request, trace_id: str, stack: str | None = None) -> Response:
        """(T, T) attention rollout."""

        def work(trace: Trace) -> Response:
            return raw(trace.rollout(stack=stack), "triangle" if _causal(trace, stack) else "whole")

        return await asked(request, trace_id, work)


def _causal(trace: Trace, stack: str | None) -> bool:
    return trace.subject.causal and trace.stack(stack) is trace.main


def _add_findings(app: FastAPI, asked: _Asked) -> None:
    @app.get("/api/trace/{trace_id}/read", include_in_schema=False)
    async def read(request: Request, trace_id: str) -> Response:
        """Of each token: its probability where it stands, its rank, the entropy there."""
        found = await asked(request, trace_id, lambda trace: [one._asdict() for one in trace.read()])
        return Json({"tokens": found})

    @app.get("/api/trace/{trace_id}/next", include_in_schema=False)
    async def following(
        request: Request, trace_id: str, at: int = -1, count: Annotated[int, Query(ge=1, le=200)] = 20
    ) -> Response:
        return Json(await asked(request, trace_id, lambda trace: export.next_tokens(trace.next_tokens(count, at))))

    @app.get("/api/trace/{trace_id}/lens", include_in_schema=False)
    async def lens(
        request: Request, trace_id: str, count: Annotated[int, Query(ge=1, le=50)] = 5, places: str = ""
    ) -> Response:
        """places: numbers with commas between; all of the text where none are given."""
        wanted = _numbers(places)
        return Json(await asked.long(request, trace_id, lambda trace: lens_by_depth(trace, count, wanted), export.lens))

    @app.get("/api/trace/{trace_id}/attribution", include_in_schema=False)
    async def attribution(
        request: Request, trace_id: str, token: int | None = None, against: int | None = None, at: int = -1,
        neurons: int | None = None, sources: str | None = None,
    ) -> Response:  # fmt: skip
        """token, against: ids. neurons: of which layer to split the share; sources: of which head, as LAYER.HEAD."""

        def work(trace: Trace) -> dict[str, Any]:
            found = trace.attribution(token, against, at)
            told = export.attribution(found) | {"ranked": [list(row) for row in found.ranked()]}
            if neurons is not None:
                trace.check(trace.main, neurons, 0, "attn")
                told["neurons"] = found.neurons(neurons).tolist()
            if sources is not None:
                layer, head = _pair(sources)
                trace.check(trace.main, layer, head, "attn")
                told["sources"] = found.sources(layer, head).tolist()
            return told

        return Json(await asked(request, trace_id, work))

    @app.get("/api/trace/{trace_id}/scores", include_in_schema=False)
    async def scores(request: Request, trace_id: str) -> Response:
        """What each head is known for."""
        return Json(await asked.long(request, trace_id, head_scores_by_layer, export.head_scores))

    @app.get("/api/trace/{trace_id}/compare/{other}", include_in_schema=False)
    async def compare(request: Request, trace_id: str, other: str) -> Response:
        """Two checkpoints on the same tokens."""

        def work(first: Trace, second: Trace) -> dict[str, Any]:
            return export.comparison(first.compare(second))

        return Json(await asked.two(request, trace_id, other, work))


def _add_surgery(app: FastAPI, asked: _Asked) -> None:
    @app.post("/api/trace/{trace_id}/ablate", include_in_schema=False)
    async def ablate(request: Request, trace_id: str) -> Response:
        body = await read_fields(request, AblateBody, MAX_BYTES)
        return Json(await asked(request, trace_id, lambda t: _effect(t.ablate(*body.parts, how=body.how, at=body.at))))

    @app.post("/api/trace/{trace_id}/patch", include_in_schema=False)
    async def patch(request: Request, trace_id: str) -> Response:
        body = await read_fields(request, PatchBody, MAX_BYTES)

        def work(trace: Trace, source: Trace) -> dict[str, Any]:
            return _effect(trace.patch(source, *body.parts, places=body.places, at=body.at))

        return Json(await asked.two(request, trace_id, body.source, work))

    @app.post("/api/trace/{trace_id}/sweep", include_in_schema=False)
    async def sweep(request: Request, trace_id: str) -> Response:
        body = await read_fields(request, SweepBody, MAX_BYTES)

        def work(corrupted: Trace) -> InParts[Sweep]:
            clean = asked.find(body.source)
            return patch_by_layer(clean, corrupted, body.answer, body.wrong, kind=body.kind, at=body.at)

        return Json(await asked.long(request, trace_id, work, _swept))


def _effect(found: Any) -> dict[str, Any]:
    tables = {"before": export.next_tokens(found.before), "after": export.next_tokens(found.after)}
    return export.effect(found) | tables


def _swept(found: Sweep) -> dict[str, Any]:
    return {
        "kind": found.kind, "recovered": found.recovered.tolist(), "clean": found.clean, "corrupted": found.corrupted,
    }  # fmt: skip


def _numbers(text: str) -> list[int] | None:
    if not text:
        return None
    try:
        return [int(one) for one in text.split(",")][:4096]
    except ValueError:
        raise LimpidError(f"'{text[:40]}' is no list of places: write numbers with commas between.") from None


def _pair(text: str) -> tuple[int, int]:
    layer, _, head = text.partition(".")
    if not (layer.isdecimal() and head.isdecimal() and len(text) < 20):
        raise LimpidError(f"'{text[:40]}' is no head: write LAYER.HEAD.")
    return int(layer), int(head)
