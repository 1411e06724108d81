"""Sending: whole JSON answers and streams of server-sent events, both given up when the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from limpid.core.errors import LimpidError
from limpid.server.answer import Left, Reply
from limpid.server.errors import ApiError, bad_request, failure

T = TypeVar("T")
log = logging.getLogger("limpid.server")
SEND_SECONDS = 60.0
"""A client that takes nothing of a stream for so long has left."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
DONE = b"data: [DONE]\n\n"


class Json(Response):
    """A JSON answer, characters as they are."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _encode(content).encode()


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + _encode(data).encode() + b"\n\n"


class Frame:
    """What all events of one stream have in common, written once: they differ in their choices."""

    def __init__(self, fields: dict[str, Any], *, wants_usage: bool) -> None:
        self._before = f"data: {_encode(fields)[:-1]},"
        self._after = ',"usage":null}\n\n' if wants_usage else "}\n\n"

    def choice(self, choice: dict[str, Any]) -> bytes:
        """The event of one choice."""
        return f'{self._before}"choices":[{_encode(choice)}]{self._after}'.encode()

    def usage(self, usage: Any) -> bytes:
        """The event that says how many tokens there were."""
        return f'{self._before}"choices":[],"usage":{_encode(usage)}}}\n\n'.encode()


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """What slow work of the client's asking returns; its LimpidError is the client's mistake."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except LimpidError as error:
        raise bad_request(str(error)) from None


@contextlib.contextmanager
def heard(reply: Reply, receive: Receive) -> Iterator[None]:
    """While entered, a client that hangs up makes ``reply`` leave; in the end, what is still open is cancelled."""
    watch = asyncio.ensure_future(_until_disconnect(receive))
    watch.add_done_callback(lambda _: reply.leave())
    try:
        yield
    finally:
        watch.cancel()
        reply.leave()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns; it is given up if the client hangs up first.

    Raises:
        Left: it has.
    """
    working = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_until_disconnect(request.receive))
    try:
        await asyncio.wait((working, watch), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Left
        return await working
    finally:
        working.cancel()
        watch.cancel()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(reply: Reply, request: Request, make: Callable[[], Awaitable[Any]]) -> Response:
    """What ``make`` reads out of ``reply``, as JSON.

    Raises:
        Left: the client hung up before it was done.
    """
    with heard(reply, request.receive):
        return Json(await make())


class EventStream(Response):
    """Server-sent events. What goes wrong on the way is the stream's last event; an orderly one ends with [DONE]."""

    media_type = "text/event-stream"

    def __init__(self, reply: Reply, events: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._reply, self._events = reply, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def write(part: bytes, more: bool = True) -> None:
            patience.sending = True
            await send({"type": "http.response.body", "body": part, "more_body": more})
            patience.sending = False

        with heard(self._reply, receive), contextlib.suppress(Left), _Patience() as patience:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            try:
                async for part in self._events:
                    await write(part)
                await write(DONE, more=False)
            except ApiError as error:
                await write(event(error.body), more=False)
            except Left:
                raise
            except Exception:
                log.exception("a stream failed")
                await write(event(failure().body), more=False)


class _Patience:
    """While entered, a client that takes nothing for `SEND_SECONDS` is given up: the task that sends ends with `Left`.

    sending: whether something is on its way. One timer looks now and then; a timeout around every token would cost
    more than sending it.
    """

    def __enter__(self) -> _Patience:
        self.sending = self._was_sending = self._over = False
        self._task = asyncio.current_task()
        self._arm()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        if self._over and isinstance(error, asyncio.CancelledError):
            assert self._task is not None
            self._task.uncancel()
            raise Left from None

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SEND_SECONDS / 2, self._look)

    def _look(self) -> None:
        if self.sending and self._was_sending:
            self._over = True
            assert self._task is not None
            self._task.cancel()
        else:
            self._was_sending = self.sending
            self._arm()
