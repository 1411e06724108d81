"""One thread for short work and for long: what is short goes first, and between the parts of what is long."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from limpid.core.in_parts import InParts
from limpid.server.errors import too_busy

T = TypeVar("T")
WAITING = 512
"""Computations that may wait; more are refused. A page of a large model asks for a picture of each layer at once."""
PATIENCE = 8
"""So many short ones at most go before the next part of a long one that waits: it gets on, however much is asked."""


class _Short(NamedTuple):
    future: Future[Any]
    work: Callable[[], Any]


class _Long(NamedTuple):
    future: Future[Any]
    parts: InParts[Any]


class Lanes:
    """Work in two lanes, each first come, first served. ``initializer`` runs on the thread before anything else."""

    def __init__(self, name: str, initializer: Callable[[], None] | None = None, *, waiting: int = WAITING) -> None:
        self._thread = ThreadPoolExecutor(1, name, initializer)
        self._lock = threading.Lock()
        self._short: deque[_Short] = deque()
        self._long: deque[_Long] = deque()
        self._waiting = waiting
        self._passed = 0  # short ones done since a long one last got on

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Short work; a future that was cancelled is passed over.

        Raises:
            ApiError: 429 too much is waiting.
        """
        future: Future[T] = Future()
        self._add(self._short, _Short(future, lambda: work(*arguments)))
        return future

    def submit_long(self, parts: InParts[T]) -> Future[T]:
        """Long work; it is given up between two parts where its future was cancelled.

        Raises:
            ApiError: 429 too much is waiting.
        """
        future: Future[T] = Future()
        self._add(self._long, _Long(future, parts))
        return future

    def close(self) -> None:
        """Begin nothing more; what waits is given up."""
        with self._lock:
            for future in [one.future for one in self._short] + [one.future for one in self._long]:
                future.cancel()
            self._short.clear()
            self._long.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _add(self, lane: deque[Any], work: _Short | _Long) -> None:
        with self._lock:
            if len(self._short) + len(self._long) >= self._waiting:
                raise too_busy(f"{self._waiting} looks into models are waiting already; try again in a moment.")
            lane.append(work)
        self._thread.submit(self._turn)  # as many turns as there are parts to do

    def _next(self) -> _Short | _Long | None:
        with self._lock:
            if self._short and not (self._long and self._passed >= PATIENCE):
                self._passed += 1
                return self._short.popleft()
            self._passed = 0
            return self._long.popleft() if self._long else None

    def _turn(self) -> None:
        work = self._next()
        if isinstance(work, _Long):
            self._get_on(work)
        elif work is not None and work.future.set_running_or_notify_cancel():
            try:
                work.future.set_result(work.work())
            except BaseException as error:
                work.future.set_exception(error)

    def _get_on(self, work: _Long) -> None:
        """One part of a long one, which then waits for its next turn at the head of its lane."""
        future, parts = work
        if future.cancelled():
            parts.close()
            return
        try:
            next(parts)
        except StopIteration as end:
            if future.set_running_or_notify_cancel():
                future.set_result(end.value)
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            with self._lock:
                self._long.appendleft(work)
            try:
                self._thread.submit(self._turn)
            except RuntimeError:  # closed meanwhile
                future.cancel()
