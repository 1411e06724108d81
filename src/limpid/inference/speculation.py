"""Guessing several tokens ahead, so that one pass of the model can confirm them all (Leviathan et al. 2023).

A guess is kept where it is the very token that the model draws there: every place has its own random number, a function
of the request's seed and of the place, so the model's choice at a place is settled by what stands before it, guessed or
not (drafter-invariant speculation: Daliri et al. 2025). An answer is therefore the same with any drafter as with none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

import torch

from limpid.core.errors import LimpidError
from limpid.inference.forward import Forward, Piece
from limpid.inference.request import Request
from limpid.inference.rows import CacheRows
from limpid.inference.sampler import choose
from limpid.models.decoder import Decoder

AHEAD = 5
"""Guesses a step: with the token before them, as many as the C kernels multiply for the price of one."""


class Drafter(Protocol):
    """Guesses how answers go on."""

    def propose(self, requests: Sequence[Request], rooms: Sequence[int]) -> list[list[int]]:
        """For each request up to ``rooms[i]`` tokens that may follow what it has said; [] is no guess."""


class PromptLookup:
    """What followed the last time these words were said (Saxena 2023): costs nothing, and pays where answers repeat
    their prompt or themselves: summaries, edits, code, tables.

    Args:
        words: how many of the last tokens must have stood together before; the largest number that did counts.
        ahead: tokens guessed at a time.
    """

    def __init__(self, *, words: Sequence[int] = (4, 3, 2), ahead: int = AHEAD) -> None:
        self.words, self.ahead = sorted(words, reverse=True), ahead
        self._seen: WeakKeyDictionary[Request, _Places] = WeakKeyDictionary()

    def propose(self, requests: Sequence[Request], rooms: Sequence[int]) -> list[list[int]]:
        return [self._guess(request)[: max(0, room)] for request, room in zip(requests, rooms, strict=True)]

    def _guess(self, request: Request) -> list[int]:
        places = self._seen.get(request)
        if places is None:
            places = self._seen[request] = _Places(request.prompt, self.words)
        places.extend(request.said)
        return places.after()[: self.ahead]


class _Places:
    """A text that grows, and where each group of its tokens ended last."""

    def __init__(self, prompt: Sequence[int], words: Sequence[int]) -> None:
        self.text = list(prompt)
        self.start = len(prompt)
        self.words = words
        self.known = 0  # groups that end before this place are noted
        self.ends: dict[tuple[int, ...], int] = {}

    def extend(self, said: Sequence[int]) -> None:
        self.text += said[len(self.text) - self.start :]
        for end in range(self.known + 1, len(self.text)):  # the last group has nothing after it yet
            for size in self.words:
                if size <= end:
                    self.ends[tuple(self.text[end - size : end])] = end
        self.known = max(self.known, len(self.text) - 1)

    def after(self) -> list[int]:
        for size in self.words:
            end = self.ends.get(tuple(self.text[-size:]))
            if end is not None:
                return self.text[end:]
        return []


class DraftModel:
    """A smaller model of the same vocabulary guesses, with the random numbers that the large one will use.

    Args:
        forward: computes the small model; see `engine.fastest_forward`.
        vocab_size: of the model whose answers are guessed.

    Raises:
        LimpidError: the vocabularies differ in size.
    """

    def __init__(self, model: Decoder, forward: Forward, vocab_size: int, *, ahead: int = AHEAD) -> None:
        if model.config.vocab_size != vocab_size:
            raise LimpidError(
                f"the drafting model has {model.config.vocab_size} tokens and the answering one {vocab_size}: "
                "they must share a tokenizer."
            )
        self.model, self.forward, self.ahead = model, forward, ahead
        weight = model.embedding.weight
        self.rows = CacheRows(model.config, 256, weight.dtype, weight.device)

    @torch.inference_mode()
    def propose(self, requests: Sequence[Request], rooms: Sequence[int]) -> list[list[int]]:
        guesses: list[list[int]] = [[] for _ in requests]
        texts = [[*request.prompt, *request.said] for request in requests]
        limits = [
            min(room, self.ahead, self.model.config.context - len(text))
            for room, text in zip(rooms, texts, strict=True)
        ]
        able = sorted((i for i, limit in enumerate(limits) if limit > 0), key=lambda i: -limits[i])[: self.rows.limit]
        self.rows.busy = 0  # every row is free, and remembers its text: what was guessed wrongly is just not taken over
        for place, i in enumerate(able):
            self.rows.reserve(place + 1, len(texts[i]) + self.ahead)
            self.rows.take(texts[i])
        for ahead in range(max((limits[i] for i in able), default=0)):
            pieces = []
            for place, i in enumerate(able):
                known = self.rows.texts[place]
                new = texts[i][len(known) :] if not ahead else guesses[i][-1:]
                pieces.append(Piece(place, new, len(known), 1))
            scores = self.forward(self.rows, pieces)
            for piece in pieces:
                self.rows.texts[piece.row] += piece.ids
            for place, i in enumerate(able):
                request = requests[i]
                if request.sampling.greedy:
                    guesses[i].append(int(scores.best[place]))
                    continue
                uniform = torch.tensor([request.noise(ahead)], dtype=torch.float64, device=scores.logits.device)
                guesses[i].append(int(choose(scores.logits[place : place + 1], request.sampling, uniform)[0]))
            while able and ahead + 1 >= limits[able[-1]]:
                able.pop()  # rows are computed without gaps; those of the least room are the last ones
        return guesses
