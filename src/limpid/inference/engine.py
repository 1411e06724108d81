"""The engine: prompts in, one event a row and step out. Chat, evaluation and RL all generate through it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator
from limpid.inference.cache import Cache, allocate, pick_rows
from limpid.inference.sampler import Sampling, choose, penalise_repeats
from limpid.models.decoder import Decoder

Finish = Literal["stop", "length"]


class TokenEvent(NamedTuple):
    """One token of one row.

    logprob: natural log of the model's own probability of the token (temperature 1, before any filter).
    sampled_logprob: the same under the distribution it was drawn from.
    alternatives: (token id, probability) of the most probable tokens, best first, before any filter.
    finish: why the row ended with this token, or None.
    """

    row: int
    token_id: int
    logprob: float
    sampled_logprob: float
    alternatives: list[tuple[int, float]]
    finish: Finish | None


REACH_STEP = 32
"""Attention looks at a multiple of this many slots: each new shape costs oneDNN a kernel, in time and in memory."""


class Engine:
    """Runs an inference copy of a model (see `weights.inference_copy`) over a batch of prompts."""

    def __init__(self, model: Decoder) -> None:
        self.model = model
        self.config = model.config
        self.dtype = model.embedding.weight.dtype
        self.device = model.embedding.weight.device

    @torch.inference_mode()
    def logits(self, ids: Sequence[int]) -> Tensor:
        """(T, V) float32: the scores of every next token after each prefix of ``ids``."""
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
            prompts: token ids, each at least one.
            sampling: shared by all rows; row r draws its numbers from (seed, r).
            stop_ids: tokens that end a row (reported as its last event, finish "stop").
            copies: answers a prompt; row = prompt number * copies + copy. The prompt is read once.
            cancelled: rows the caller adds here are dropped before the next step.

        Raises:
            LimpidError: a prompt is empty or leaves no room in the context.
        """
        lengths = [len(prompt) for prompt in prompts]
        self._check(prompts)
        budget = [min(sampling.max_tokens, self.config.context - n) for n in lengths for _ in range(copies)]
        count = len(budget)
        seed = np.random.SeedSequence().generate_state(1)[0] if sampling.seed is None else sampling.seed
        noise = np.stack([generator(int(seed), "row", row).random(max(budget)) for row in range(count)])
        seen: Tensor | None = None
        if sampling.repetition_penalty != 1:
            seen = torch.zeros(count, self.config.vocab_size, dtype=torch.bool, device=self.device)
            for row in range(count):
                seen[row, torch.tensor(prompts[row // copies])] = True

        slots = max(lengths[row // copies] + budget[row] for row in range(count))
        rows = torch.arange(count)  # the row in each place of the batch
        with torch.inference_mode():
            cache = allocate(self.config, len(prompts), slots, self.dtype, self.device)
            padded = torch.zeros(len(prompts), max(lengths), dtype=torch.int64)
            for row, prompt in enumerate(prompts):
                padded[row, : lengths[row]] = torch.tensor(prompt)
            hidden = self._forward(padded, torch.arange(max(lengths)).expand(padded.shape), cache, max(lengths))
            last = hidden[torch.arange(len(prompts)), torch.tensor(lengths) - 1]  # (P, D)
            if copies > 1:
                cache, last = pick_rows(cache, rows // copies), last[rows // copies]
        positions = torch.tensor(lengths).repeat_interleave(copies)  # where the next token of each place goes
        running = list(range(count))  # places whose row has not ended
        step = 0
        while running:
            with torch.inference_mode():
                events, chosen = self._choose(
                    last, rows, running, sampling, noise[:, step], seen, stop_ids, budget, step
                )
            yield events
            step += 1
            running = [
                place
                for place, event in zip(running, events, strict=True)
                if event.finish is None and not (cancelled and event.row in cancelled)
            ]
            if not running:
                return
            with torch.inference_mode():
                if len(running) <= 0.75 * len(rows):  # until then ended rows ride along: closing up copies the cache
                    keep = torch.tensor(running)
                    rows, positions, chosen, cache = rows[keep], positions[keep], chosen[keep], pick_rows(cache, keep)
                    running = list(range(len(rows)))
                reach = min(slots, -(-(int(positions[running].max()) + 1) // REACH_STEP) * REACH_STEP)
                last = self._forward(chosen[:, None], positions[:, None], cache, reach)[:, 0]
                positions = (positions + 1).clamp_(max=slots - 1)

    def _forward(self, ids: Tensor, positions: Tensor, cache: Cache, seen: int) -> Tensor:
        return self.model(
            ids.to(self.device), dtype=self.dtype, positions=positions.to(self.device), cache=cache, seen=seen
        )

    def _choose(
        self,
        last: Tensor,
        rows: Tensor,
        running: Sequence[int],
        sampling: Sampling,
        uniform: npt.NDArray[np.float64],
        seen: Tensor | None,
        stop_ids: Collection[int],
        budget: Sequence[int],
        step: int,
    ) -> tuple[list[TokenEvent], Tensor]:
        """The events of the running places, and the next token of every place (R,)."""
        logits = self.model.head(last).float()  # (R, V)
        own = logits.log_softmax(-1)
        if seen is not None:
            logits = penalise_repeats(logits, seen[rows.to(self.device)], sampling.repetition_penalty)
        picked, drawn = choose(logits, sampling, torch.from_numpy(uniform[rows.numpy()]).to(self.device))
        if seen is not None:
            seen[rows.to(self.device), picked] = True
        logprobs, sampled = own.gather(1, picked[:, None]).squeeze(1).tolist(), drawn.tolist()
        tops: list[list[tuple[int, float]]] = [[] for _ in logprobs]
        if sampling.alternatives:
            best = own.topk(min(sampling.alternatives, own.shape[-1]), dim=-1)
            tops = [
                [(i, math.exp(v)) for i, v in zip(ids, values, strict=True)]
                for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
        chosen = picked.cpu()
        row_of, token_of = rows.tolist(), chosen.tolist()
        events = []
        for place in running:
            row, token = row_of[place], token_of[place]
            finish: Finish | None = None
            if token in stop_ids:
                finish = "stop"
            elif step + 1 >= budget[row]:
                finish = "length"
            events.append(TokenEvent(row, token, logprobs[place], sampled[place], tops[place], finish))
        return events, chosen

    def _check(self, prompts: Sequence[Sequence[int]]) -> None:
        if not prompts:
            raise LimpidError("there is no prompt to answer.")
        for prompt in prompts:
            if not prompt:
                raise LimpidError("the prompt is empty; give at least one token.")
            if len(prompt) >= self.config.context:
                raise LimpidError(
                    f"the prompt has {len(prompt)} tokens and this model's context is {self.config.context}; "
                    "shorten it so that at least one token can follow."
                )
