"""/api/trace/ID/...: a model step by step: its parts in order, how a number came about, weights, and the draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response

from limpid.core.errors import LimpidError, did_you_mean
from limpid.inference.sampler import Sampling
from limpid.inference.shaping import drawn, shape_in_steps
from limpid.inspection import export
from limpid.inspection.lens import logit_lens
from limpid.inspection.trace import Trace
from limpid.inspection.worked import Worked
from limpid.server.slices import NUMBERS, cut, part, raw
from limpid.server.state import State
from limpid.server.stream import Json

T = TypeVar("T")
ROWS = 256
"""The most arrays that one answer holds."""


def add_stepping(app: FastAPI, state: State) -> None:
    """The routes that the Step by step page and the chat's inspector ask."""

    async def asked(request: Request, trace_id: str, work: Callable[[Trace], T]) -> T:
        state.ready()
        return await state.insides.do(request, lambda: work(state.insides.find(trace_id).trace))

    @app.get("/api/trace/{trace_id}/walk", include_in_schema=False)
    async def walking(request: Request, trace_id: str) -> Response:
        """Every step, by chapter."""
        return Json({"chapters": await asked(request, trace_id, _walk)})

    @app.get("/api/trace/{trace_id}/worked", include_in_schema=False)
    async def working(request: Request, trace_id: str, name: str, index: str) -> Response:
        """How one number came about. index: numbers with commas between."""
        return Json(await asked(request, trace_id, lambda trace: told(trace.worked(name, *_place(index)))))

    @app.get("/api/trace/{trace_id}/rows", include_in_schema=False)
    async def rows(
        request: Request, trace_id: str, of: Annotated[list[str], Query(min_length=1, max_length=ROWS)]
    ) -> Response:
        """Several arrays at once, each as NAME@INDEX, float32 one after the other."""
        return raw(await asked(request, trace_id, lambda trace: _rows(trace, of)))

    @app.get("/api/trace/{trace_id}/weights", include_in_schema=False)
    async def weights(request: Request, trace_id: str, name: str, index: str = "") -> Response:
        """A part of a parameter."""
        array, shape = await asked(request, trace_id, lambda trace: _weights(trace, name, index))
        response = raw(array)
        response.headers["limpid-whole"] = ",".join(map(str, shape))
        return response

    @app.get("/api/trace/{trace_id}/gaze", include_in_schema=False)
    async def gazing(
        request: Request, trace_id: str, at: int = -1, count: Annotated[int, Query(ge=1, le=64)] = 8
    ) -> Response:
        """The heads that look most at earlier tokens from a place."""
        return Json({"looks": await asked(request, trace_id, lambda t: [one._asdict() for one in t.gaze(at, count)])})

    @app.get("/api/trace/{trace_id}/follow", include_in_schema=False)
    async def follow(
        request: Request, trace_id: str, token: int, at: int = -1, count: Annotated[int, Query(ge=1, le=20)] = 3
    ) -> Response:
        """The lens at one place, following one token through the layers."""
        return Json(await asked(request, trace_id, lambda t: export.lens(logit_lens(t, count, [at], [token]))))

    @app.get("/api/trace/{trace_id}/sampling", include_in_schema=False)
    async def sampling(
        request: Request, trace_id: str, at: int = -1, temperature: Annotated[float, Query(ge=0, le=10)] = 1.0,
        top_k: Annotated[int, Query(ge=0)] = 0, top_p: Annotated[float, Query(gt=0, le=1)] = 1.0,
        min_p: Annotated[float, Query(ge=0, le=1)] = 0.0, uniform: Annotated[float, Query(ge=0, lt=1)] = 0.5,
        count: Annotated[int, Query(ge=1, le=200)] = 20,
    ) -> Response:  # fmt: skip
        """From the logits of a place to the token that ``uniform`` draws."""
        settings = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        return Json(await asked(request, trace_id, lambda trace: _sampling(trace, at, settings, uniform, count)))


def _walk(trace: Trace) -> list[dict[str, Any]]:
    return [
        {"kind": one.kind, "stack": one.stack, "layers": [[step._asdict() for step in layer] for layer in one.layers]}
        for one in trace.walk()
    ]


def told(found: Worked) -> dict[str, Any]:
    """A working as JSON; a number that is not finite as null (only masked scores are: minus infinity)."""
    rule, numbers, rows, sources = found.recipe
    return {
        "name": found.name, "index": found.place, "value": _finite(found.value), "result": _finite(found.result),
        "rule": rule, "numbers": {symbol: _finite(number) for symbol, number in numbers.items()},
        "rows": {symbol: list(map(_finite, row)) for symbol, row in rows.items()}, "sources": sources,
    }  # fmt: skip


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _place(index: str) -> list[int]:
    try:
        return [int(one) for one in index.split(",")][:8]
    except ValueError:
        raise LimpidError(f"'{index[:40]}' is no place in an array: write whole numbers with commas between.") from None


def _rows(trace: Trace, wanted: Sequence[str]) -> Any:
    found, total = [], 0
    for one in wanted:
        name, _, index = one.partition("@")
        found.append(part(trace, name, index).astype(np.float32).ravel())
        total += found[-1].size
        if total > NUMBERS:
            raise LimpidError(f"these arrays have more than {NUMBERS:,} numbers together; ask for fewer at once.")
    return np.concatenate(found)


def _weights(trace: Trace, name: str, index: str) -> tuple[Any, tuple[int, ...]]:
    parameters = trace.subject.parameters()
    if name not in parameters:
        raise LimpidError(f"this model has no parameter '{name[:80]}'.{did_you_mean(name, parameters)}")
    weight = parameters[name].detach()
    steps = cut(name, index, weight.shape)
    return weight[tuple(steps)].float().cpu().numpy(), tuple(weight.shape)


def _sampling(trace: Trace, at: int, settings: Sampling, uniform: float, count: int) -> dict[str, Any]:
    place = trace.place(at)
    shaping = shape_in_steps(torch.from_numpy(trace.logits(place)), settings)
    token = drawn(shaping, uniform)
    ids = shaping.order[:count].tolist()
    rank = int((shaping.order == token).nonzero()[0, 0])
    if rank >= count:
        ids.append(token)
    by_id = shaping.final.double().cumsum(0)
    columns = ("logits", "scaled", "top_k", "top_p", "min_p", "final")
    plain = shaping.logits.double().softmax(0)
    warm = shaping.scaled.double().softmax(0)
    return {
        "at": place, "token": token, "rank": rank + 1, "uniform": uniform, "vocabulary": len(shaping.logits),
        "kept": {name: int((getattr(shaping, name) > 0).sum()) for name in columns[2:]},
        "candidates": [
            {"id": i, "label": trace.label(i), "plain": float(plain[i]), "warm": float(warm[i]),
             "until": float(by_id[i])} | {name: float(getattr(shaping, name)[i]) for name in columns}
            for i in ids
        ],
    }  # fmt: skip
