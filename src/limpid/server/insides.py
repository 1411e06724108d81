"""Models that are looked into: float32 copies of what is served, and traces of texts, a bounded number of both.

The models that answer have their weights packed and let go of, and nothing may slow them. So looking inside reads the
checkpoint again, when it is first asked for, and works on one thread of its own, which stands back behind others; on it
what is short does not wait for what is long (`lanes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from starlette.requests import Request

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.in_parts import InParts
from limpid.inspection.subject import Empty, TooLong
from limpid.inspection.trace import Trace
from limpid.models.model import Model
from limpid.server.errors import ApiError, bad_request
from limpid.server.lanes import Lanes
from limpid.server.memory import free_bytes
from limpid.server.models import ServedModel, gone
from limpid.server.stream import unless_gone
from limpid.text.tokenizer import Tokenizer

T = TypeVar("T")
MODELS = 3
TRACES = 16
BUDGET = 2**27
"""Bytes of block insides that one trace keeps; the rest is computed again."""
BYTES = 2**29
"""Of all traces together."""
NICENESS = 5


class Subject(NamedTuple):
    """A model to look into. served: what it is a copy of."""

    served: ServedModel
    model: Model
    tokenizer: Tokenizer


class Taken(NamedTuple):
    """A trace, its id and the model it was taken of."""

    id: str
    trace: Trace
    served: ServedModel


class Insides:
    """What has been opened. `do` and `do_long` run work on the one thread; all else is called there and only there."""

    def __init__(self, *, models: int = MODELS, traces: int = TRACES, max_bytes: int = BYTES) -> None:
        self._models: OrderedDict[str, Subject] = OrderedDict()
        self._traces: OrderedDict[str, Taken] = OrderedDict()
        self._limits = models, traces, max_bytes
        self._lanes = Lanes("limpid-insides", _stand_back)

    async def do(self, request: Request, work: Callable[..., T], *arguments: Any) -> T:
        """What ``work`` returns; given up while it waits if the client hangs up.

        Raises:
            Left: the client has. ApiError: too much is waiting; also for a LimpidError, which is the client's mistake.
        """
        return await _heard(request, self._lanes.submit(work, *arguments))

    async def do_long(self, request: Request, work: Callable[..., InParts[T]], *arguments: Any) -> T:
        """As `do`, for work that lets others go before and between its parts; ``work`` makes the parts."""
        return await _heard(request, self._lanes.submit_long(_begun(work, *arguments)))

    def close(self) -> None:
        """Begin nothing more; what waits is given up."""
        self._lanes.close()

    async def forget(self, name: str) -> None:
        """Let go of a model that is no longer served, and of its traces."""
        await _awaited(self._lanes.submit(self._forget, name))

    def subject(self, served: ServedModel) -> Subject:
        """The float32 copy of a served model.

        Raises:
            ApiError: 410 it was unloaded; 409 its checkpoint is no longer the one that answers; 503 it does not fit
                into memory.
        """
        if served.unloaded:
            raise gone(served.name)
        found = self._models.get(served.name)
        if found is not None and found.served.fingerprint == served.fingerprint:
            self._models.move_to_end(served.name)
            return found
        self._forget(served.name)
        while len(self._models) >= self._limits[0]:
            self._forget(next(iter(self._models)))
        self._models[served.name] = _loaded(served)
        return self._models[served.name]

    def keep(self, served: ServedModel, trace: Trace) -> Taken:
        """Keep a trace; the longest unused make room for it. The same text in the same weights has the same id."""
        taken = Taken(_id(served, trace), trace, served)
        taken = self._traces.setdefault(taken.id, taken)
        self._traces.move_to_end(taken.id)
        while len(self._traces) > 1 and (len(self._traces) > self._limits[1] or self._bytes() > self._limits[2]):
            self._traces.popitem(last=False)
        return taken

    def find(self, trace_id: str) -> Taken:
        """A kept trace. Raises ApiError 404 ``trace_gone``."""
        taken = self._traces.get(trace_id)
        if taken is None:
            raise ApiError(404, "This trace is kept no longer; take it again.", code="trace_gone")
        self._traces.move_to_end(trace_id)
        return taken

    def _bytes(self) -> int:
        return sum(taken.trace.kept_bytes for taken in self._traces.values())

    def _forget(self, name: str) -> None:
        self._models.pop(name, None)
        for taken in [taken for taken in self._traces.values() if taken.served.name == name]:
            del self._traces[taken.id]


async def _heard(request: Request, future: Future[T]) -> T:
    try:
        return await unless_gone(request, _awaited(future))
    except TooLong as error:
        raise bad_request(str(error), "text", "context_length_exceeded") from None
    except Empty as error:
        raise bad_request(str(error), "text", "empty_text") from None
    except LimpidError as error:
        raise bad_request(str(error)) from None


def _begun(work: Callable[..., InParts[T]], *arguments: Any) -> InParts[T]:
    """The parts of ``work``, which is called when its turn comes: on the thread of traces."""
    return (yield from work(*arguments))


async def _awaited(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)


def _loaded(served: ServedModel) -> Subject:
    path, device = Path(served.facts["run"]), torch.device(served.facts["device"])
    try:
        sums = (path / "checksums.json").read_bytes()
    except OSError:
        raise ApiError(
            409, f"The checkpoint of {served.name!r} is no longer at {path}, so it cannot be opened.",
            code="model_replaced",
        ) from None  # fmt: skip
    if fingerprint_of(sums) != served.fingerprint:
        raise ApiError(
            409, f"The checkpoint of {served.name!r} at {path} was replaced after this server read it; restart it.",
            code="model_replaced",
        )  # fmt: skip
    need, free = 4 * served.facts["parameters"], free_bytes(device)
    if need > free:
        raise ApiError(
            503, f"Looking into {served.name!r} needs {need / 1e9:.1f} GB more memory; {free / 1e9:.1f} GB are free.",
            code="no_memory",
        )  # fmt: skip
    checkpoint = store.read(path, Model)
    return Subject(served, checkpoint.model.to(device).eval(), checkpoint.tokenizer)


def fingerprint_of(sums: bytes) -> str:
    """The name of a checkpoint's weights, from the file of its checksums."""
    return f"fp_{hashlib.sha256(sums).hexdigest()[:12]}"


def _id(served: ServedModel, trace: Trace) -> str:
    stacks: Sequence[tuple[str, list[int]]] = [(name, stack.ids) for name, stack in trace.stacks.items()]
    return hashlib.sha256(repr((served.name, served.fingerprint, stacks)).encode()).hexdigest()[:20]


def _stand_back() -> None:
    """On Linux a thread has a niceness of its own; the threads it starts to compute with inherit it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
