"""The server as a process: a port, uvicorn behind it, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import h11
import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from limpid.core.errors import LimpidError
from limpid.server.errors import ApiError
from limpid.server.guard import HEAD_BYTES
from limpid.server.state import State

HEAD_SECONDS = 10.0
"""The head of a request must be there so long after its first byte."""
IDLE_SECONDS = 30
"""A connection on which nothing is asked is kept so long."""


def bind(host: str, port: int) -> socket.socket:
    """A socket at that address, which nobody can connect to until it listens.

    Raises:
        LimpidError: the port is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise LimpidError(f"the address {host} is not known: {error.strerror}.") from None
    sock = socket.socket(family, kind, protocol)
    if os.name == "posix":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server just ended does not hold its port
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise LimpidError(
                f"port {port} of {host} is in use: stop what listens there, or choose another with --port."
            ) from None
        if error.errno == errno.EACCES:
            raise LimpidError(f"port {port} needs more rights than you have: choose one from 1024 on.") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise LimpidError(f"{host} is no address of this machine.") from None
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """Where a bound socket is reached from this machine."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` to its end on libuv's event loop, which takes less of the cores that compute than asyncio's own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


class Server(uvicorn.Server):
    """Uvicorn, but a signal drains first: what runs may end, what is new hears 503; a second signal stops at once."""

    def __init__(self, app: ASGIApp, state: State, *, drain_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                app, http=Protocol, ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
                server_header=False, h11_max_incomplete_event_size=HEAD_BYTES, timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=3,
            )
        )  # fmt: skip
        self._state = state
        self._drain_seconds = drain_seconds
        self._deadline: float | None = None
        self._signal = signal.SIGTERM.value

    async def run_with(self, sock: socket.socket, load: Callable[[], Awaitable[None]]) -> None:
        """Serve on ``sock``; ``load`` makes the models ready meanwhile, and its failure ends the server."""
        loading = asyncio.ensure_future(load())

        def loaded(task: asyncio.Future[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.should_exit = True

        loading.add_done_callback(loaded)
        await self.serve(sockets=[sock])
        if not loading.done():
            os._exit(128 + self._signal)  # a thread in the middle of loading would keep the interpreter waiting
        for model in self._state.models or ():
            model.runner.stop()
        self._state.insides.close()
        loading.result()

    def drain(self) -> None:
        """As a first signal does."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_seconds
            self._state.drain()

    async def on_tick(self, counter: int) -> bool:
        if self._deadline is not None and (not self._state.live or time.monotonic() > self._deadline):
            for model in self._state.models or ():
                await asyncio.to_thread(model.runner.stop)
            return True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._deadline is not None:
            os._exit(128 + sig)  # threads in the middle of a step would keep the interpreter waiting
        self._signal = sig
        self.drain()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own would raise the signal again once all is done; a drained server has ended well."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Protocol(H11Protocol):
    """HTTP/1.1 whose own complaints are JSON as well, and which does not wait for ever for the head of a request."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        too_large = self.conn.trailing_data[0] and len(self.conn.trailing_data[0]) > HEAD_BYTES
        if too_large:
            self._refuse(ApiError(431, f"The headers are larger than {HEAD_BYTES} bytes.", code="headers_too_large"))
        else:
            self._refuse(ApiError(400, "This is not valid HTTP/1.1."))

    def _too_slow(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._refuse(ApiError(408, f"The request did not come within {HEAD_SECONDS:g} seconds."))

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, error: ApiError) -> None:
        """Answer what was no request, and hang up."""
        self._stop_timer()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = error.encoded()
            headers = [
                ("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close"),
                ("x-request-id", f"req_{os.urandom(12).hex()}"),
            ]  # fmt: skip
            reason = STATUS_PHRASES[error.status]
            head = self.conn.send(h11.Response(status_code=error.status, headers=headers, reason=reason))
            rest = [self.conn.send(h11.Data(data=body)), self.conn.send(h11.EndOfMessage())]
            self.transport.write(b"".join(part or b"" for part in (head, *rest)))
        self.transport.close()
