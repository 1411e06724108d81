"""The engine: requests in, token events out, many answers at once. Chat, the API, evaluation and RL share `submit`."""

from __future__ import annotations

import functools
import logging
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.inference.cuda_graphs import torch_forward
from limpid.inference.forward import Forward, Piece, Scores
from limpid.inference.native.library import UnknownPart, Unsupported
from limpid.inference.request import Request, TokenEvent, TokenMask
from limpid.inference.rows import CacheRows
from limpid.inference.sampler import Sampling
from limpid.inference.sampling_step import choose_tokens
from limpid.inference.speculation import Drafter
from limpid.inference.weights import let_go, refresh
from limpid.models.decoder import Decoder

READ_TOKENS = 2048
"""Prompt tokens read in one step: long prompts are read in parts, between which others speak on."""
SCORED_TOKENS = 256
"""Places of a given text whose scores are made together: they are as wide as the vocabulary."""

log = logging.getLogger("limpid")


class Busy(LimpidError):
    """The queue is full; ask again later."""


class _Asked(NamedTuple):
    """A request whose next token is to be chosen; place: of its first scores, which those after its guesses follow."""

    request: Request
    guesses: list[int]
    place: int


class Engine:
    """Runs an inference copy of a model (see `weights.inference_copy`) for any number of requests.

    drafter: guesses tokens ahead, if there is one (see `speculation`); answers do not depend on it, only their speed.

    One `step` takes waiting requests into free cache rows, reads a part of the prompts that are not read yet, lets
    every other row speak one token, and returns the events. Rows in order: those that speak, those whose prompt is
    being read, free ones. ``submit`` and ``cancel`` may be called from any thread, ``step`` from one at a time.

    Args:
        rows: at most so many answers at once; the cache grows up to it as needed.
        waiting: at most so many requests may wait for a row; None: any number.
        int8: matrices of 8-bit numbers, half the memory to read for each token; only the C kernels have them.
        alone: nobody else computes with ``model``, and its weights will not change: where the C kernels have packed
            weights of their own, the model's are freed.

    Raises:
        LimpidError: int8 is asked for, and the C kernels cannot be had here or do not know the model.
    """

    def __init__(
        self,
        model: Decoder,
        *,
        rows: int = 256,
        waiting: int | None = None,
        int8: bool = False,
        alone: bool = False,
    ) -> None:
        self.model = model
        self.config = model.config
        self.dtype = model.embedding.weight.dtype
        self.device = model.embedding.weight.device
        self.forward = fastest_forward(model, int8=int8)
        if alone and self.forward.packs:
            let_go(model)
        self.waiting_limit = waiting
        self.drafter: Drafter | None = None
        self._lock = threading.Lock()
        self._begin(rows)

    def _begin(self, rows: int) -> None:
        self.rows = CacheRows(self.config, rows, self.dtype, self.device)
        self._waiting: deque[Request] = deque()
        self._placed: list[Request] = []  # the request in each busy row
        self._speaking = 0  # the first so many of them have had their prompt read

    # ------------------------------------------------------------------ requests

    def submit(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        stop_ids: Collection[int] = (),
        row: int = 0,
        mask: TokenMask | None = None,
        begun: int = 0,
    ) -> Request:
        """Queue a prompt; its events come out of `step`.

        Args:
            prompt: token ids, at least one, and fewer than the context.
            stop_ids: tokens that end the answer (reported as its last event, finish "stop").
            row: the submitter's own number for it; numbers are drawn from (sampling.seed, row).
            mask: which tokens may come; it must let a stop token through when it is done.
            begun: how many of the prompt's last tokens the answer begins with. Penalties count them as said, and the
                numbers drawn are those that would have followed them: an answer goes on as if it had never paused.

        Raises:
            LimpidError: the prompt is empty or leaves no room in the context. Busy: the queue is full.
        """
        if not prompt:
            raise LimpidError("the prompt is empty; give at least one token.")
        if len(prompt) >= self.config.context:
            raise LimpidError(
                f"the prompt has {len(prompt)} tokens and this model's context is {self.config.context}; "
                "shorten it so that at least one token can follow."
            )
        request = Request(prompt, sampling, stop_ids, row, self.config.context)
        request.mask, request.begun = mask, begun
        with self._lock:
            if self.waiting_limit is not None and len(self._waiting) >= self.waiting_limit:
                raise Busy(f"{len(self._waiting)} requests are waiting already; try again in a moment.")
            self._waiting.append(request)
        return request

    def cancel(self, request: Request) -> None:
        """End a request: it is out of the queue, or its row is free, before the next token is computed."""
        request.cancelled = request.ended = True
        request.inbox.clear()

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._placed or self._waiting)

    @property
    def load(self) -> dict[str, int]:
        """How many requests wait, how many are being answered, and how many rows there are."""
        return {"waiting": len(self._waiting), "running": len(self._placed), "rows": self.rows.limit}

    # ------------------------------------------------------------------ one step

    @torch.inference_mode()
    def step(self) -> list[TokenEvent]:
        """Compute a token for every answer under way, or more where they were guessed.

        The events of one answer are in their order; [] when there are none.
        """
        self._drop_cancelled()
        self._admit()
        if not self._placed:
            return []
        pieces = self._next_words() + self._next_parts()
        scores = self.forward(self.rows, pieces)
        asked, place = [], 0
        for piece in pieces:
            if piece.wanted:
                guesses = piece.ids[1:] if piece.row < self._speaking else []
                asked.append(_Asked(self._placed[piece.row], guesses, place))
            place += piece.wanted
        events = self._choose(scores, asked)
        for piece in pieces:
            if piece.row < self._speaking:  # of its guesses, those that were right
                piece = piece._replace(ids=piece.ids[: self._placed[piece.row].last_step])
            self.rows.texts[piece.row] += piece.ids
        for one in asked[self._speaking :]:
            self._swap(self._placed.index(one.request), self._speaking)
            self._speaking += 1
        for event in events:
            event.request.inbox.append(event)
            if event.finish is not None:
                self._retire(event.request)
        return events

    def _choose(self, scores: Scores, asked: list[_Asked]) -> list[TokenEvent]:
        """The next token of each request, and those after it for as long as they are what was guessed."""
        events: list[TokenEvent] = []
        ahead = 0
        for one in asked:
            one.request.last_step = 0
        while asked:
            chosen = choose_tokens(scores.of([one.place + ahead for one in asked]), [one.request for one in asked])
            events += chosen
            for one in asked:
                one.request.last_step += 1
            asked = [
                one
                for one, event in zip(asked, chosen, strict=True)
                if event.finish is None and one.guesses[ahead : ahead + 1] == [event.token_id]
            ]
            ahead += 1
        return events

    def _next_words(self) -> list[Piece]:
        """Of every row that speaks, what it said last, and what is guessed to follow."""
        texts, speakers = self.rows.texts, self._placed[: self._speaking]
        guesses: list[list[int]] = [[] for _ in speakers]
        if self.drafter is not None and speakers:
            guesses = self.drafter.propose(speakers, [r.budget - len(r.said) - 1 for r in speakers])
        return [
            Piece(row, [request.said[-1], *guessed], len(texts[row]), 1 + len(guessed))
            for row, (request, guessed) in enumerate(zip(speakers, guesses, strict=True))
        ]

    def _next_parts(self) -> list[Piece]:
        """Of the prompts that are not read yet, as much as one step reads."""
        pieces: list[Piece] = []
        left = READ_TOKENS
        for row in range(self._speaking, len(self._placed)):
            prompt, known = self._placed[row].prompt, len(self.rows.texts[row])
            if not left:
                break
            part = prompt[known : known + left]
            left -= len(part)
            pieces.append(Piece(row, part, known, int(known + len(part) == len(prompt))))
        return pieces

    # ------------------------------------------------------------------ rows

    def _admit(self) -> None:
        """Waiting requests into free rows, in order; but one whose beginning is just being read waits for it."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        being_read = {r.beginning for r in self._placed[self._speaking :]}
        for at, request in enumerate(waiting):
            if len(self._placed) == self.rows.limit:
                with self._lock:
                    self._waiting.extendleft(reversed([*list(waiting)[at:]]))
                return
            if request.beginning in being_read and len(request.prompt) > 1:
                with self._lock:
                    self._waiting.append(request)
                continue
            self.rows.reserve(len(self._placed) + 1, len(request.prompt) + request.budget)
            self.rows.take(request.prompt)
            if len(request.prompt) - len(self.rows.texts[len(self._placed)]) > 1:
                being_read.add(request.beginning)
            self._placed.append(request)

    @torch.inference_mode()
    def _drop_cancelled(self) -> None:
        with self._lock:
            if any(r.cancelled for r in self._waiting):
                self._waiting = deque(r for r in self._waiting if not r.cancelled)
        for request in [r for r in self._placed if r.cancelled]:
            self._retire(request)

    def _retire(self, request: Request) -> None:
        row = self._placed.index(request)
        if row < self._speaking:
            self._speaking -= 1
            self._swap(row, self._speaking)
            row = self._speaking
        self._swap(row, len(self._placed) - 1)
        self._placed.pop()
        self.rows.give_back(len(self._placed))

    def _swap(self, a: int, b: int) -> None:
        self.rows.swap(a, b)
        self._placed[a], self._placed[b] = self._placed[b], self._placed[a]

    # ------------------------------------------------------------------ conveniences

    def restart(self) -> None:
        """After a failure: every request is forgotten, and what rows remembered with it."""
        self._begin(self.rows.limit)

    def refresh(self, model: nn.Module) -> None:
        """Take over the present weights of ``model``; what was read with the old ones is forgotten."""
        refresh(self.model, model)
        self.forward.refresh()
        self.rows.forget()

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> Iterator[Scores]:
        """The scores after each token of a text, a part of the text at a time; each part's until the next is asked for.

        The text has a row of its own, and leaves nothing behind.

        Raises:
            LimpidError: more tokens than the context.
        """
        if len(ids) > self.config.context:
            raise LimpidError(f"the text has {len(ids)} tokens and this model's context is {self.config.context}.")
        row = CacheRows(self.config, 1, self.dtype, self.device)
        row.reserve(1, len(ids))
        for start in range(0, len(ids), SCORED_TOKENS):
            part = list(ids[start : start + SCORED_TOKENS])
            yield self.forward(row, [Piece(0, part, start, len(part))])

    def logits(self, ids: Sequence[int]) -> Tensor:
        """(T, V) float32: the scores of every next token after each prefix of ``ids``; as `read` says."""
        return torch.cat([scores.logits for scores in self.read(ids)])

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        stop_ids: Collection[int],
        copies: int = 1,
        cancelled: set[int] | None = None,
    ) -> Iterator[list[TokenEvent]]:
        """Answer all prompts together; each step yields the events of the rows still running.

        Args:
            sampling: shared by all rows; row r draws its numbers from (seed, r).
            copies: answers a prompt; row = prompt number * copies + copy. The prompt is read once.
            cancelled: rows the caller adds here are dropped before the next step.

        Raises:
            LimpidError: no prompt; or as `submit`.
        """
        if not prompts:
            raise LimpidError("there is no prompt to answer.")
        sampling = sampling.with_seed()
        requests = []
        try:
            for row in range(len(prompts) * copies):
                requests.append(self.submit(prompts[row // copies], sampling, stop_ids=stop_ids, row=row))
            while any(not r.ended or r.inbox for r in requests):
                if not any(r.inbox for r in requests):  # another answer's steps may have been ours as well
                    self.step()
                if events := [r.inbox.popleft() for r in requests if r.inbox]:
                    yield events
                for row in cancelled or ():
                    self.cancel(requests[row])
        finally:  # also where the caller stops listening
            for request in requests:
                self.cancel(request)
            self._drop_cancelled()


def fastest_forward(model: Decoder, *, int8: bool = False) -> Forward:
    """The C kernels where this machine and model allow them, else torch, on a GPU with CUDA graphs."""
    from limpid.inference.native.forward import NativeForward

    try:
        return NativeForward(model, int8=int8)
    except Unsupported as reason:
        if int8:
            raise LimpidError(f"int8 weights need the C kernels: {reason}.") from reason
        if isinstance(reason, UnknownPart):
            _say_once(str(reason))
        return torch_forward(model)


@functools.cache
def _say_once(part: str) -> None:
    log.warning("limpid: torch computes this model, more slowly: the C kernels do not know %s", part)
