"""One thread a model: it computes for whoever asks, and wakes the event loop at most once a step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from limpid.core.errors import LimpidError
from limpid.server.answer import Answer, Piece, Reply
from limpid.server.errors import ApiError, bad_request, failure, too_busy, unavailable
from limpid.server.metrics import ModelMetrics

T = TypeVar("T")
log = logging.getLogger("limpid.server")
GATHER_SECONDS = 0.01
"""So long at most a runner with nothing to do waits for requests that are nearly ready: prompts read together cost
less than the first alone and then the rest."""


class Runner(ABC):
    """Queue, thread and bookkeeping; what is computed is the subclass's.

    Everything public is for the event loop's thread. Answers go ``waiting`` -> ``running`` -> over.

    Args:
        rows: answers computed at once. queue: answers that may wait beside them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, metrics: ModelMetrics, *, rows: int, queue: int) -> None:
        self.rows, self.queue = rows, queue
        self.metrics = metrics
        self._loop = loop
        self._wake = threading.Condition()
        self._waiting: deque[Answer] = deque()
        self._running: set[Answer] = set()
        self._jobs: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._calls = 0  # computations that somebody waits for
        self._nearly = 0  # requests that will be submitted in a moment
        self._refuses = self._closed = False
        self._why: Callable[[], ApiError] = _stopping  # what is told once nothing new is taken
        self._heard: list[tuple[Answer, Piece]] = []
        metrics.watch(
            requests_running=lambda: len(self._running),
            requests_waiting=lambda: len(self._waiting),
            cache_rows_in_use=self._rows_in_use,
            cache_rows=lambda: self.rows,
        )
        self._thread = threading.Thread(target=self._run, name="limpid-runner", daemon=True)
        self._thread.start()

    @property
    def live(self) -> int:
        """Answers and computations that wait or run."""
        return len(self._waiting) + len(self._running) + self._calls

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """While entered, a request is made ready to be submitted."""
        self._nearly += 1
        try:
            yield
        finally:
            with self._wake:
                self._nearly -= 1
                self._wake.notify()

    def submit(self, answers: Sequence[Answer], *, pause: float = 0.0) -> Reply:
        """Queue the answers to one request; ``pause``: as `Reply` says.

        Raises:
            ApiError: 400 more than ever fit; 429 the queue is full; 503 the server is stopping.
        """
        room = self.rows + self.queue
        if len(answers) > room:
            raise bad_request(f"The request asks for {len(answers)} answers; this server takes {room} at once.")
        with self._wake:
            if self._refuses:
                raise self._why()
            if len(self._waiting) + len(self._running) + len(answers) > room:
                raise too_busy(f"{len(self._waiting)} answers are waiting already; try again in a moment.")
            reply = Reply(answers, self.cancel, pause=pause)
            self._waiting.extend(answers)
            self._wake.notify()
        return reply

    def cancel(self, answer: Answer) -> None:
        """End an answer: it leaves the queue, or its row is free before the next token is computed."""
        with self._wake:
            answer.cancelled = True
            self._drop(answer)
            self._wake.notify()

    async def call(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, computed on this model's thread between two steps.

        Raises:
            ApiError: 429 the queue is full; 400 and 500 ``work`` failed; 503 the server has stopped.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        with self._wake:
            if self._closed:
                raise self._why()
            if len(self._jobs) >= max(1, self.queue):
                raise too_busy(f"{len(self._jobs)} computations are waiting already; try again in a moment.")
            self._jobs.append((future, work))
            self._wake.notify()
        self._calls += 1
        try:
            return await future
        finally:
            self._calls -= 1

    def refuse(self) -> None:
        """From now on nothing new is taken; what is there goes on."""
        self._refuses = True

    def stop(self, seconds: float = 5.0, why: Callable[[], ApiError] | None = None) -> None:
        """End everything: open answers, and whoever comes later, hear that the server stops, or else ``why``."""
        with self._wake:
            self._why = why or self._why
            self._refuses = self._closed = True
            self._wake.notify()
        self._thread.join(seconds)

    # ------------------------------------------------------------------ for subclasses

    @abstractmethod
    def _rows_in_use(self) -> int: ...

    @abstractmethod
    def _begin(self, answer: Answer) -> None:
        """Take a waiting answer in. May raise LimpidError."""

    @abstractmethod
    def _drop(self, answer: Answer) -> None:
        """Stop computing an answer, if that has begun; called with the lock held, from any thread."""

    @abstractmethod
    def _has_work(self) -> bool: ...

    @abstractmethod
    def _step(self) -> None:
        """Compute a little, and `_say` what came of it."""

    @abstractmethod
    def _reset(self) -> None:
        """After a failure in `_step`: begin anew, with nothing running."""

    def _say(self, answer: Answer, piece: Piece | None, tokens: int = 1) -> None:
        """Note that an answer gained ``tokens`` tokens, and what of them can be shown."""
        now = time.perf_counter()
        answer.completion_tokens += tokens
        self.metrics.generated_tokens.inc(tokens)
        if answer.spoke is None:
            answer.began = now
            self.metrics.first_token.observe(now - answer.asked)
            if answer.counts_prompt:
                self.metrics.prompt_tokens.inc(answer.prompt_tokens)
        else:
            self.metrics.inter_token.observe(now - answer.spoke)
        answer.spoke = now
        if piece is None:
            return
        if piece.finish is not None:
            self._end(answer, piece.finish)
        self._heard.append((answer, piece))

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while self._turn():
            self._send()
        with self._wake:
            self._fail([*self._waiting, *self._running], self._why())
            self._waiting.clear()
            self._running.clear()
            for future, _ in self._jobs:
                self._tell(_settle, future, None, self._why())
            self._jobs.clear()
        self.metrics.unwatch()
        self._send()

    def _turn(self) -> bool:
        """One job and one step; False when there is nothing more to come."""
        with self._wake:
            while not (self._jobs or self._waiting or self._running or self._has_work() or self._closed):
                self._wake.wait()
            if self._waiting and not self._running:
                self._wake.wait_for(lambda: self._jobs or self._closed or not self._nearly, GATHER_SECONDS)
            if self._closed:
                return False
            job = self._jobs.popleft() if self._jobs else None
            self._sweep()
            self._admit()
        if job is not None:
            self._compute(*job)
        if self._has_work():
            try:
                self._step()
            except Exception:
                log.exception("a step failed; the answers under way are given up")
                self._fail(list(self._running), failure())
                self._running.clear()
                self._reset()
        return True

    def _compute(self, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        if future.cancelled():
            return
        try:
            result = work()
        except LimpidError as error:
            self._tell(_settle, future, None, bad_request(str(error)))
        except Exception:
            log.exception("a computation failed")
            self._tell(_settle, future, None, failure())
        else:
            self._tell(_settle, future, result, None)

    def _sweep(self) -> None:
        """Forget what was cancelled."""
        if gone := [answer for answer in self._waiting if answer.cancelled]:
            self._waiting = deque(answer for answer in self._waiting if not answer.cancelled)
        for answer in [*gone, *(answer for answer in self._running if answer.cancelled)]:
            self._end(answer, "cancelled")

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self.rows:
            answer = self._waiting.popleft()
            self._running.add(answer)
            self.metrics.queue.observe(time.perf_counter() - answer.asked)
            try:
                self._begin(answer)
            except LimpidError as error:
                self._fail([answer], bad_request(str(error)))
            except Exception:
                log.exception("an answer could not be begun")
                self._fail([answer], failure())

    def _end(self, answer: Answer, how: str) -> None:
        answer.over = True
        self._running.discard(answer)
        self.metrics.ended(how)
        self.metrics.request.observe(time.perf_counter() - answer.asked)

    def _fail(self, answers: Sequence[Answer], error: ApiError) -> None:
        for answer in answers:
            self._end(answer, "error")
            self._heard.append((answer, Piece(answer.index, "", [], error=error)))

    def _send(self) -> None:
        if self._heard:
            heard, self._heard = self._heard, []
            if awaited := [answer for answer, piece in heard if answer.put(piece)]:
                self._tell(_stir, awaited)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed: nobody listens
            log.debug("nobody hears any more")


def _stopping() -> ApiError:
    return unavailable("The server is stopping.")


def _stir(answers: list[Answer]) -> None:
    for answer in answers:
        answer.stir()


def _settle(future: asyncio.Future[Any], result: Any, error: ApiError | None) -> None:
    if not future.done() and error is not None:
        future.set_exception(error)
    elif not future.done():
        future.set_result(result)
