"""/api/runs: the folder of runs as the page of runs asks for it, and what can be done to a run from there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.parallel.hardware import release_memory
from limpid.server.errors import ApiError, bad_request
from limpid.server.requests import Body
from limpid.server.run_control import RunControl
from limpid.server.run_curves import Axis, Window
from limpid.server.run_folder import RunFolder, flops_per_token
from limpid.server.run_shelf import Reading
from limpid.server.state import State, read_fields
from limpid.server.stream import Json, in_thread

F = TypeVar("F", bound=Body)
MAX_BYTES = 64 * 1024
RUNS = 64
POINTS = 2000
LOADED = 8
"""Checkpoints that the page may load beside the models that were named at the start."""
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
"""A report is a file that anybody may have written: it is shown with an origin of its own and can ask nobody."""
_NOT_IN_NAMES = re.compile(r"[\s=\\\x00-\x1f\x7f]+")
"""Of a folder's name, what no model's may have; what stands before = is taken for the whole name."""
Name = Annotated[str, Field(min_length=1, max_length=500)]


class CurvesBody(Body):
    """The lines ``names`` of ``runs`` (all where none is given). known: revisions that the page has drawn; a run of
    which nothing is new is left out of the answer."""

    runs: Annotated[list[Name], Field(max_length=RUNS)]
    names: Annotated[list[Name], Field(max_length=200)] = Field(default_factory=list)
    x: Axis = "step"
    low: float | None = None
    high: float | None = None
    most: Annotated[int, Field(ge=8, le=POINTS)] = 400
    log: bool = False
    smooth: Annotated[float, Field(ge=0, le=0.999)] = 0.0
    known: dict[str, int] = Field(default_factory=dict)


class RunBody(Body):
    run: Name


class ResumeBody(RunBody):
    """agreed: SHA-256 of the files of a user's that may run in it."""

    agreed: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]], Field(max_length=64)] = Field(
        default_factory=list
    )


class UnloadBody(Body):
    """model: one that was loaded from the page."""

    model: Name


class LoadBody(RunBody):
    """step: of the checkpoint; the newest unless given."""

    step: Annotated[int, Field(ge=0)] | None = None


def add_runs(app: FastAPI, state: State) -> None:
    """The routes of the runs page."""
    controls: dict[RunFolder, RunControl] = {}
    loading = asyncio.Lock()

    def folder() -> RunFolder:
        if state.runs is None:
            raise ApiError(503, "This server shows no runs.", code="runs_off")
        return state.runs

    def control() -> RunControl:
        return controls.setdefault(folder(), RunControl(folder()))

    @app.get("/api/runs", include_in_schema=False)
    async def listing() -> Response:
        runs, ours = folder(), control()
        reading = Reading()
        found = await in_thread(runs.runs, reading)
        served = {model.facts.get("run"): model.name for model in state.ready()}
        for run in found:
            path = Path(run["path"])
            run["child"] = ours.child(path)
            run["served"] = {step: served[str(store.checkpoint_path(path, step))] for step in run["checkpoints"]
                             if str(store.checkpoint_path(path, step)) in served}  # fmt: skip
        return Json({
            "folder": str(runs.root.absolute()), "exists": runs.root.is_dir(), "runs": found,
            "loaded": sorted(state.ready().added), "reading": reading.progress,
        })  # fmt: skip

    @app.get("/api/runs/one", include_in_schema=False)
    async def one(run: str) -> Response:
        path = folder().find(run)
        return Json(await in_thread(folder().detail, path) | {"resume": await in_thread(_command, control(), path)})

    @app.post("/api/runs/curves", include_in_schema=False)
    async def curves(request: Request) -> Response:
        body = await read_fields(request, CurvesBody, MAX_BYTES)
        reading = Reading()
        found = await in_thread(_curves, folder(), body, reading)
        return Json({"runs": found, "reading": reading.progress})

    @app.get("/api/runs/report", include_in_schema=False)
    async def report(run: str) -> Response:
        text = await in_thread(folder().text, folder().find(run) / "report.html")
        if text is None:
            raise ApiError(404, f"{run[:100]} has no report.", code="report_not_found")
        return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY, "referrer-policy": "no-referrer"})

    async def act(request: Request, kind: type[Any]) -> tuple[Any, Path]:
        """The body of what changes something, and the run."""
        body = await _own_body(request, kind)
        return body, folder().find(body.run)

    @app.post("/api/runs/stop", include_in_schema=False)
    async def stop(request: Request) -> Response:
        _, path = await act(request, RunBody)
        return Json({"pid": await in_thread(control().stop, path)})

    @app.post("/api/runs/resume", include_in_schema=False)
    async def resume(request: Request) -> Response:
        body, path = await act(request, ResumeBody)
        return Json({"command": await in_thread(control().resume, path, body.agreed)})

    @app.post("/api/runs/load", include_in_schema=False)
    async def load(request: Request) -> Response:
        body, path = await act(request, LoadBody)
        async with loading:
            return Json({"model": await _load(state, folder(), path, body)})

    @app.post("/api/runs/unload", include_in_schema=False)
    async def unload(request: Request) -> Response:
        body = await _own_body(request, UnloadBody)
        async with loading:
            model = state.ready().remove(body.model)
            ended = model.runner.live
            await in_thread(model.unload)
            await state.insides.forget(model.name)
            del model
        await in_thread(release_memory)
        return Json({"model": body.model, "ended": ended})


async def _own_body(request: Request, kind: type[F]) -> F:
    """The body of what changes something: only this server's own page may ask, and no other page."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin.lower()).netloc != request.headers.get("host", "").lower():
        raise ApiError(403, "Only this server's own page may do that.", code="origin_not_allowed")
    return await read_fields(request, kind, MAX_BYTES)


def _command(control: RunControl, path: Path) -> dict[str, Any]:
    try:
        command = control.command(path)
        return {"command": command, "why": None, "code": [file._asdict() for file in control.code(path, command)]}
    except LimpidError as error:
        return {"command": None, "why": str(error), "code": []}


def _curves(folder: RunFolder, body: CurvesBody, reading: Reading) -> dict[str, Any]:
    window = Window(body.x, body.low, body.high, body.most, body.log, body.smooth)
    found: dict[str, Any] = {}
    for name in body.runs:
        try:
            path = folder.find(name)
        except ApiError:
            found[name] = None  # gone meanwhile
            continue
        metrics = folder.metrics_of(path, reading)
        if metrics is None:
            found[name] = {"revision": 0, "damaged": 0, "lines": {}}
        elif body.known.get(name) != metrics.revision:
            revision = metrics.revision
            lines = metrics.lines(body.names or metrics.names(), window, flops_per_token(path))
            found[name] = {"revision": revision, "damaged": metrics.damaged, "lines": lines}
    return found


async def _load(state: State, folder: RunFolder, path: Path, body: LoadBody) -> str:
    """The name under which a checkpoint answers; it is made to answer where it does not yet."""
    models = state.ready()
    steps = store.steps_of(path)
    step = body.step if body.step is not None else max(steps, default=None)
    if step is None or step not in steps:
        raise ApiError(404, f"{body.run[:100]} has no whole checkpoint of step {step}.", code="checkpoint_not_found")
    checkpoint = store.checkpoint_path(path, step)
    if not folder.holds(checkpoint):
        raise ApiError(404, f"{checkpoint} leads out of the folder of runs.", code="checkpoint_not_found")
    for model in models:
        if model.facts.get("run") == str(checkpoint):
            return model.name
    if state.loader is None:
        raise bad_request("This server loads no more models.")
    if len(models.added) >= LOADED:
        raise bad_request(
            f"{LOADED} checkpoints are loaded beside the first models; unload one to make room.", code="too_many_loaded"
        )
    base = "-".join(part for part in [*body.run.split("/"), str(step)] if part != ".")
    name = _free(_NOT_IN_NAMES.sub("-", base)[:120], {model.name for model in models})
    load: Callable[[Path, str], Any] = state.loader
    models.add(await load(checkpoint, name))
    return name


def _free(name: str, taken: set[str]) -> str:
    return next(one for one in (name, *(f"{name}-{i}" for i in range(2, 1000))) if one not in taken)
