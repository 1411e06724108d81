"""Answers under way, between the thread that computes them and the event loop that sends them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Literal, NamedTuple

from limpid.server.errors import ApiError
from limpid.text.streaming import StopStrings, Utf8Stream
from limpid.text.tokenizer import Tokenizer

Finish = Literal["stop", "length"]


class ShownToken(NamedTuple):
    """One token of an answer.

    text: the whole characters that the text gained with it (a character of several tokens comes with its last).
    raw: its own bytes. logprob: natural log of the model's probability. alternatives: (id, probability), best first.
    chances, entropy, rank: as in `TokenEvent`, where somebody gave them.
    """

    text: str
    raw: bytes
    token_id: int
    logprob: float
    alternatives: list[tuple[int, float]]
    chances: Sequence[float] = ()
    entropy: float | None = None
    rank: int | None = None


class Piece(NamedTuple):
    """What an answer gained: text, the tokens that are now shown, and in the last piece a finish or an error.

    choice: the answer's number in its request.
    """

    choice: int
    text: str
    tokens: list[ShownToken]
    finish: Finish | None = None
    error: ApiError | None = None

    @property
    def last(self) -> bool:
        return self.finish is not None or self.error is not None


class Answer:
    """One answer: its number in the request, its times, and how far it has come.

    prompt_tokens: how many it was given; counts_prompt: whether they count (of several answers to one prompt, once).
    """

    def __init__(self, index: int, prompt_tokens: int, *, counts_prompt: bool = True) -> None:
        self.index = index
        self.prompt_tokens = prompt_tokens
        self.counts_prompt = counts_prompt
        self.completion_tokens = 0
        self.asked = time.perf_counter()
        self.began: float | None = None  # when its first token came
        self.spoke: float | None = None  # when its last token came
        self.cancelled = False
        self.over = False
        self.put: Callable[[Piece], bool] = _nobody  # from any thread; whether `stir` is to be called
        self.stir: Callable[[], None] = _nothing  # on the event loop: there is something to hear


def _nobody(piece: Piece) -> bool:
    return False


def _nothing() -> None:
    pass


class Reply:
    """The answers to one request, as the event loop hears them. Not for other threads.

    pause: so many seconds after it has heard something it looks again, and is not woken meanwhile, but by an end:
    waking takes the interpreter's lock from the thread that computes, and whoever reads pays for every message.
    """

    def __init__(self, answers: Sequence[Answer], cancel: Callable[[Answer], None], *, pause: float = 0.0) -> None:
        self.answers = answers
        self._cancel = cancel
        self._pause = pause
        self._pieces: deque[Piece] = deque()  # appended to by the thread that computes
        self._asleep = True  # nobody will look unless stirred
        self._waiter: asyncio.Future[None] | None = None
        self._open = len(answers)
        self._left = False
        for answer in answers:
            answer.put, answer.stir = self._put, self._stir

    async def batches(self) -> AsyncIterator[list[Piece]]:
        """Pieces as they come, those that came together together, until every answer is over.

        Raises:
            Left: the client is gone. ApiError: an answer failed.
        """
        while self._open:
            while not self._pieces and not self._left:
                await self._wait()
            if self._left:
                raise Left
            pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
            for piece in pieces:
                if piece.error is not None:
                    raise piece.error
            self._open -= sum(piece.last for piece in pieces)
            yield pieces
            if self._pause and self._open and not self._left:
                await self._wait(self._pause)

    async def _wait(self, seconds: float | None = None) -> None:
        """Until stirred, or so long."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._stir)
        self._asleep = seconds is None
        if self._asleep and self._pieces:  # put before it could be known that nobody looks
            return
        try:
            await self._waiter
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self) -> None:
        """Nobody listens any more: whatever is not over is cancelled, and its row free before the next token."""
        for answer in self.answers:
            if not answer.over:
                self._cancel(answer)
        self._left = True
        self._stir()

    def _put(self, piece: Piece) -> bool:
        self._pieces.append(piece)
        asleep, self._asleep = self._asleep, False
        return asleep or piece.last

    def _stir(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Left(Exception):
    """The client closed the connection."""


class Speech:
    """From tokens to pieces: whole characters only, nothing of a stop string, and each token with its text.

    wants_tokens: whether anybody looks at single tokens. keeps_end: also at the one that ends the answer.
    begun: the tokens it begins with, which are known already: of them, bytes of an unfinished character count.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        index: int,
        *,
        previous: int,
        stop_ids: Collection[int],
        stops: Sequence[str],
        wants_tokens: bool,
        keeps_end: bool = False,
        begun: Sequence[int] = (),
    ) -> None:
        self._tokenizer, self._index, self._previous = tokenizer, index, previous
        self._stop_ids, self._wants_tokens = stop_ids, wants_tokens
        self._utf8, self._stops = Utf8Stream(), StopStrings(stops)
        self._decoded = self._released = 0  # characters that came, characters that were let out
        self._held: list[tuple[int, int, ShownToken]] = []  # (first character, last + 1, token)
        self._keeps_end = keeps_end
        for token_id in begun:
            self._utf8.push(tokenizer.bytes_after(self._previous, token_id))
            self._previous = token_id

    def push(
        self,
        token_id: int,
        logprob: float,
        alternatives: list[tuple[int, float]],
        finish: Finish | None,
        chances: Sequence[float] = (),
        entropy: float | None = None,
        rank: int | None = None,
    ) -> Piece | None:
        """The piece that a token completes, if it does; its finish is "stop" where a stop string ended the answer."""
        ends = finish == "stop" and token_id in self._stop_ids
        raw = b"" if ends else self._tokenizer.bytes_after(self._previous, token_id)
        self._previous = token_id
        text = self._utf8.push(raw)
        if finish is not None:
            text += self._utf8.flush()
        start, self._decoded = self._decoded, self._decoded + len(text)
        if self._wants_tokens and (self._keeps_end or not ends):
            token = ShownToken(text, raw, token_id, logprob, alternatives, chances, entropy, rank)
            self._held.append((start, self._decoded, token))
        return self._release(text, finish)

    def insert(self, text: str, finish: Finish | None = None) -> Piece | None:
        """As `push`, for text that no token stands for; what follows begins as a new text does."""
        self._previous = self._tokenizer.end_of_text
        text = self._utf8.flush() + text
        self._decoded += len(text)
        return self._release(text, finish)

    def _release(self, text: str, finish: Finish | None) -> Piece | None:
        released = self._stops.push(text)
        if self._stops.stopped is not None:
            finish = "stop"
        elif finish is not None:
            released += self._stops.flush()
        self._released += len(released)
        tokens = self._shown(finish)
        if not (released or tokens or finish):
            return None
        return Piece(self._index, released, tokens, finish)

    def _shown(self, finish: Finish | None) -> list[ShownToken]:
        """The tokens whose characters are all let out; at the end also one that a stop string cuts in two."""
        shown = 0
        while shown < len(self._held) and self._held[shown][1] <= self._released:
            shown += 1
        if finish is not None and shown < len(self._held) and self._held[shown][0] < self._released:
            shown += 1
        tokens = [token for _, _, token in self._held[:shown]]
        del self._held[:shown]
        return tokens
