"""The engine: requests in, token events out, many answers at once. Chat, the API, evaluation and RL share `submit`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.inference.request import Request, TokenEvent, TokenMask
from limpid.inference.rows import CacheRows
from limpid.inference.sampler import Sampling
from limpid.inference.sampling_step import choose_tokens
from limpid.inference.weights import refresh
from limpid.models.decoder import Decoder

REACH_STEP = 32
"""Attention looks at a multiple of this many slots: each new shape costs oneDNN a kernel, in time and in memory."""
READ_STEP = 8
"""Prompts are read in multiples of so many tokens, for the same reason."""
PREFILL_TOKENS = 2048
"""Prompt tokens read in one step, padding included: long prompts are read in parts, between which others speak on."""


class Busy(LimpidError):
    """The queue is full; ask again later."""


class Engine:
    """Runs an inference copy of a model (see `weights.inference_copy`) for any number of requests.

    One `step` takes waiting requests into free cache rows, reads a part of the prompts that are not read yet, lets
    every other row speak one token, and returns the events. Rows in order: those that speak, those whose prompt is
    being read, free ones. ``submit`` and ``cancel`` may be called from any thread, ``step`` from one at a time.

    Args:
        rows: at most so many answers at once; the cache grows up to it as needed.
        waiting: at most so many requests may wait for a row; None: any number.
    """

    def __init__(self, model: Decoder, *, rows: int = 256, waiting: int | None = None) -> None:
        self.model = model
        self.config = model.config
        self.dtype = model.embedding.weight.dtype
        self.device = model.embedding.weight.device
        self.rows = CacheRows(model.config, rows, self.dtype, self.device)
        self.waiting_limit = waiting
        self._waiting: deque[Request] = deque()
        self._placed: list[Request] = []  # the request in each busy row
        self._speaking = 0  # the first so many of them have had their prompt read
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ requests

    def submit(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        stop_ids: Collection[int] = (),
        row: int = 0,
        mask: TokenMask | None = None,
    ) -> Request:
        """Queue a prompt; its events come out of `step`.

        Args:
            prompt: token ids, at least one, and fewer than the context.
            stop_ids: tokens that end the answer (reported as its last event, finish "stop").
            row: the submitter's own number for it; numbers are drawn from (sampling.seed, row).
            mask: which tokens may come; it must let a stop token through when it is done.

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
        request.mask = mask
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
        """Compute one token for every answer under way; the events in no particular order, [] when there are none."""
        self._drop_cancelled()
        self._admit()
        if not self._placed:
            return []
        spoken = [self._speak()] if self._speaking else []
        speakers = self._placed[: self._speaking]
        spoken += self._read_prompts()
        speakers += self._placed[len(speakers) : self._speaking]
        if not speakers:
            return []
        logits = self.model.head(torch.cat(spoken)).float()  # (R, V)
        events = choose_tokens(logits, speakers)
        for event in events:
            event.request.inbox.append(event)
            if event.finish is not None:
                self._retire(event.request)
        return events

    def _speak(self) -> Tensor:
        """Final hidden states (R, D) of the rows that speak, each given the token it said last."""
        count = self._speaking
        padded = min(_bucket(count), self.rows.count)  # a few free rows ride along, for few shapes
        positions = self.rows.positions(padded)
        ids = torch.zeros(padded, 1, dtype=torch.int64)
        for row, request in enumerate(self._placed[:count]):
            ids[row, 0] = request.said[-1]
            self.rows.texts[row].append(request.said[-1])
        reach = min(self.rows.slots, _up(int(positions[:count].max()) + 1, REACH_STEP))
        return self._forward(ids, positions[:, None], slice(0, padded), reach)[:count, 0]

    def _read_prompts(self) -> list[Tensor]:
        """Read a part of the unread prompts; those that are read whole join the speakers, with their last state."""
        first, pending = self._speaking, self._placed[self._speaking :]
        if not pending:
            return []
        todo = [len(r.prompt) - len(self.rows.texts[first + i]) for i, r in enumerate(pending)]
        length = max(todo)
        while length * len(pending) > PREFILL_TOKENS and len(pending) > 1:  # fewer rows first, then parts of one
            pending.pop()
            length = max(todo[: len(pending)])
        length = 1 if length == 1 else min(_up(length, READ_STEP), PREFILL_TOKENS)
        starts = self.rows.positions(first + len(pending))[first:]
        ids = torch.zeros(len(pending), length, dtype=torch.int64)
        ends = []
        for i, request in enumerate(pending):
            text = self.rows.texts[first + i]
            part = request.prompt[len(text) : len(text) + length]
            ids[i, : len(part)] = torch.tensor(part)
            text += part
            ends.append(len(part) - 1)
        places = (starts[:, None] + torch.arange(length)).clamp_(max=self.rows.slots - 1)
        reach = min(self.rows.slots, _up(int(places.max()) + 1, REACH_STEP))
        hidden = self._forward(ids, places, slice(first, first + len(pending)), reach)
        states = []
        for i, request in enumerate(pending):
            row = first + i
            if len(self.rows.texts[row]) == len(request.prompt):
                self._swap(row, self._speaking)
                self._speaking += 1
                states.append(hidden[i, ends[i]])
        return [torch.stack(states)] if states else []

    def _forward(self, ids: Tensor, positions: Tensor, rows: slice, reach: int) -> Tensor:
        ids, positions = ids.to(self.device), positions.to(self.device)
        return self.model(ids, dtype=self.dtype, positions=positions, cache=self.rows.layers(rows), seen=reach)

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

    def refresh(self, model: nn.Module) -> None:
        """Take over the present weights of ``model``; what was read with the old ones is forgotten."""
        refresh(self.model, model)
        self.rows.forget()

    @torch.inference_mode()
    def logits(self, ids: Sequence[int]) -> Tensor:
        """(T, V) float32: the scores of every next token after each prefix of ``ids``.

        Raises:
            LimpidError: more tokens than the context.
        """
        if len(ids) > self.config.context:
            raise LimpidError(f"the text has {len(ids)} tokens and this model's context is {self.config.context}.")
        hidden = self.model(torch.tensor([list(ids)], device=self.device), dtype=self.dtype)
        return self.model.head(hidden)[0].float()

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


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _bucket(rows: int) -> int:
    """``rows`` rounded up to one of few numbers: 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ..."""
    size = 1
    while size < rows:
        if size >= 2 and size + size // 2 >= rows:
            return size + size // 2
        size *= 2
    return size
