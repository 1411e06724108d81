"""A prompt on its way to becoming an answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.seeding import generator
from limpid.inference.sampler import Sampling

Finish = Literal["stop", "length"]
SHARED = 64
"""Prompts that agree in so many tokens (or wholly) are not read at the same time: the second takes over the first's."""


class TokenMask(Protocol):
    """Which tokens may come next, where not all may: a grammar that follows the answer (see `grammar`)."""

    def allowed(self) -> Tensor:
        """(V,) bool on the CPU, at least one of them true."""

    def take(self, token: int) -> None:
        """The answer goes on with ``token``."""


class Request:
    """What is asked, and how far the answer has come.

    prompt: the ids asked for. said: the ids answered so far. budget: how many may be said. row: the submitter's number.
    ended: no event will follow. cancelled: nobody listens any more. inbox: events that nobody has fetched yet.
    manner: what decides how a token is drawn from scores; requests alike in it are drawn together.
    mask: limits each token, if there is one. last_step: how many tokens the last step added.
    begun: how many of the prompt's last tokens the answer begins with: they were said, not asked.
    """

    def __init__(
        self, prompt: Sequence[int], sampling: Sampling, stop_ids: Collection[int], row: int, context: int
    ) -> None:
        self.prompt = list(prompt)
        self.sampling = sampling
        self.stop_ids = stop_ids
        self.row = row
        self.budget = min(sampling.max_tokens, context - len(self.prompt))
        self.beginning = tuple(self.prompt[:SHARED])
        self.said: list[int] = []
        self.ended = False
        self.cancelled = False
        self.inbox: deque[TokenEvent] = deque()
        self.mask: TokenMask | None = None
        self.last_step = 0
        self.begun = 0
        self.manner = sampling.model_dump_json(exclude={"max_tokens", "seed", "stop", "alternatives"})
        self._noise: npt.NDArray[np.float64] | None = None
        self._seed = sampling.with_seed().seed
        self._seen: Tensor | None = None

    def noise(self, ahead: int = 0) -> float:
        """The number in [0, 1) that decides the next token, or one ``ahead``: of seed, row and place alone."""
        if self._noise is None:
            self._noise = generator(int(self._seed or 0), "row", self.row).random(self.begun + self.budget)
        return float(self._noise[self.begun + len(self.said) + ahead])

    def counts(self, vocab_size: int) -> Tensor:
        """(2, V) float32: how often each token was in the prompt, and in the answer so far."""
        if self._seen is None:
            self._seen = torch.zeros(2, vocab_size)
            asked = len(self.prompt) - self.begun
            said = [*self.prompt[asked:], *self.said]
            self._seen[0] = torch.bincount(torch.tensor(self.prompt[:asked], dtype=torch.int64), minlength=vocab_size)
            self._seen[1] = torch.bincount(torch.tensor(said, dtype=torch.int64), minlength=vocab_size)
        return self._seen

    def take(self, token: int) -> Finish | None:
        """Note the token that was drawn; why the answer ends with it, if it does."""
        self.said.append(token)
        if self._seen is not None:
            self._seen[1, token] += 1
        if self.mask is not None:
            self.mask.take(token)
        finish: Finish | None = None
        if token in self.stop_ids:
            finish = "stop"
        elif len(self.said) >= self.budget:
            finish = "length"
        self.ended = finish is not None
        return finish


class TokenEvent(NamedTuple):
    """One token of one answer.

    logprob: natural log of the model's own probability of the token (temperature 1, before any filter).
    sampled_logprob: the same under the distribution it was drawn from.
    alternatives: (token id, probability) of the most probable tokens, best first, before any filter.
    chances: of each alternative, its probability in the distribution the token was drawn from: after penalties,
    grammar, temperature and filters.
    entropy: of the model's own distribution, in nats; rank: 1 for its most probable token, 2 for the next; both None
    where no alternatives are asked for.
    finish: why the answer ended with this token, or None.
    """

    request: Request
    token_id: int
    logprob: float
    sampled_logprob: float
    alternatives: list[tuple[int, float]]
    chances: list[float]
    finish: Finish | None
    entropy: float | None = None
    rank: int | None = None

    @property
    def row(self) -> int:
        """The submitter's number of the request."""
        return self.request.row
