"""What the endpoints share, and how they read what they are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from limpid.server.body import parse, read_body
from limpid.server.chats import Chats
from limpid.server.errors import for_validation, unavailable
from limpid.server.insides import Insides
from limpid.server.metrics import Metrics
from limpid.server.models import Catalogue, ServedModel
from limpid.server.requests import Body, ModelBody
from limpid.server.run_folder import RunFolder
from limpid.server.stream import in_thread

T = TypeVar("T")
F = TypeVar("F", bound=Body)
B = TypeVar("B", bound=ModelBody)
MAX_BODY_BYTES = 4 * 2**20
_LONG = 64 * 2**10


class State:
    """What the endpoints share. models: None until they are loaded. draining: nothing new is taken.
    chats: the history of the page, where one is kept. insides: what is looked into. runs: the
    folder of runs that is shown. loader: makes a checkpoint answer under a name."""

    def __init__(self, *, max_body_bytes: int = MAX_BODY_BYTES, chats: Chats | None = None) -> None:
        self.models: Catalogue | None = None
        self.metrics = Metrics()
        self.max_body_bytes = max_body_bytes
        self.chats = chats
        self.insides = Insides()
        self.runs: RunFolder | None = None
        self.loader: Callable[[Path, str], Awaitable[ServedModel]] | None = None
        self.draining = False

    def ready(self) -> Catalogue:
        """The models, or ApiError 503."""
        if self.draining:
            raise unavailable("The server is stopping; it takes nothing new.")
        if self.models is None:
            raise unavailable("The models are being loaded; try again in a moment.")
        return self.models

    def drain(self) -> None:
        """Let running answers end and take nothing new."""
        self.draining = True
        for model in self.models or ():
            model.runner.refuse()

    @property
    def live(self) -> int:
        """Answers that wait or run."""
        return sum(model.runner.live for model in self.models or ())


async def read_model_body(state: State, request: Request, kind: type[B]) -> tuple[ServedModel, B]:
    """The body of a request, and the model it names. Raises ApiError."""
    models = state.ready()
    raw = await read_body(request, state.max_body_bytes)
    return await _apart(raw, _understood, models, kind, raw)


async def read_fields(request: Request, kind: type[F], max_bytes: int) -> F:
    """A body that names no model. Raises ApiError."""
    raw = await read_body(request, max_bytes)
    return await _apart(raw, _validated, kind, raw)


async def read_table(request: Request, max_bytes: int) -> dict[str, Any]:
    """A body of any fields. Raises ApiError."""
    raw = await read_body(request, max_bytes)
    return await _apart(raw, parse, raw)


async def _apart(raw: bytes, work: Callable[..., T], *arguments: Any) -> T:
    """What ``work`` returns; a long body is looked at on another thread, so that nobody's stream waits for it."""
    if len(raw) > _LONG:
        return await in_thread(work, *arguments)
    return work(*arguments)


def _understood(models: Catalogue, kind: type[B], raw: bytes) -> tuple[ServedModel, B]:
    """The model that a body names, and the body where it is in order. Raises ApiError."""
    body = _validated(kind, raw)
    model = models.find(body.model)
    body.check()
    return model, body


def _validated(kind: type[F], raw: bytes) -> F:
    try:
        return kind.model_validate(parse(raw))
    except ValidationError as error:
        raise for_validation(error) from None
