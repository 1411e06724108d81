"""POST /v1/completions: how texts go on, whole or streamed, with the prompt and its log-probabilities if asked."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import AsyncIterator
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from limpid.inference.reading import ReadToken
from limpid.server.answer import Answer, Piece, Reply, ShownToken
from limpid.server.models import ServedModel
from limpid.server.requests import CompletionBody
from limpid.server.responses import TextChoice, TextCompletion, finite, text_logprobs, usage_of
from limpid.server.stream import EventStream, Frame, Json, in_thread, unless_gone, whole
from limpid.text.streaming import Utf8Stream
from limpid.text.tokenizer import Tokenizer


async def answer(model: ServedModel, body: CompletionBody, request: Request) -> Response:
    """The response to a checked request."""
    with model.runner.expecting():
        answers = await in_thread(model.text_answers, body)
        copies = body.best_of or body.copies
        echoes = await unless_gone(request, _echoes(model, body))
        if body.max_tokens == 0:  # a prompt is scored and nothing said
            model.runner.metrics.prompt_tokens.inc(usage_of(answers)["prompt_tokens"])
            return Json(_Texts(model, body, Reply([], lambda _: None), echoes).scored(answers, copies))
        texts = _Texts(model, body, reply := model.runner.submit(answers), echoes)
    if body.stream:
        return EventStream(reply, texts.events())
    return await whole(reply, request, texts.completion)


class _Echo:
    """A prompt as it is said again: its text and, where asked for, its tokens."""

    def __init__(self, text: str = "", tokens: list[ShownToken] | None = None) -> None:
        self.text, self.tokens = text, tokens or []


async def _echoes(model: ServedModel, body: CompletionBody) -> list[_Echo]:
    return [await _echo(model, body, prompt) for prompt in body.prompt]


async def _echo(model: ServedModel, body: CompletionBody, prompt: str | list[int]) -> _Echo:
    if not body.echo:
        return _Echo()
    ids = model.prompt_ids(prompt, "prompt")
    text = prompt if isinstance(prompt, str) else model.tokenizer.decode(ids)
    if body.logprobs is None or not ids:
        return _Echo(text)
    return _Echo(text, _shown(model.tokenizer, await model.read(ids, body.logprobs)))


def _shown(tokenizer: Tokenizer, read: list[ReadToken]) -> list[ShownToken]:
    """Tokens of a prompt as those of an answer; an unknown log-probability is NaN."""
    utf8, previous = Utf8Stream(), tokenizer.end_of_text
    shown = []
    for place, token in enumerate(read):
        raw = tokenizer.bytes_after(previous, token.token_id)
        previous = token.token_id
        text = utf8.push(raw) + (utf8.flush() if place == len(read) - 1 else "")
        logprob = math.nan if token.logprob is None else token.logprob
        shown.append(ShownToken(text, raw, token.token_id, logprob, token.alternatives))
    return shown


class _Texts:
    """One request's answers in OpenAI's words."""

    def __init__(self, model: ServedModel, body: CompletionBody, reply: Reply, echoes: list[_Echo]) -> None:
        self.model, self.body, self.reply, self.echoes = model, body, reply, echoes
        self.id = f"cmpl-{secrets.token_hex(16)}"
        self.created = int(time.time())
        self.copies = body.best_of or body.copies
        self._offsets = [len(self._echo(i).text) for i in range(len(echoes) * self.copies)]

    def _echo(self, index: int) -> _Echo:
        return self.echoes[index // self.copies]

    async def completion(self) -> TextCompletion:
        pieces: list[list[Piece]] = [[] for _ in self.reply.answers]
        async for batch in self.reply.batches():
            for piece in batch:
                pieces[piece.choice].append(piece)
        chosen = [place for first in range(0, len(pieces), self.copies) for place in self._best(pieces, first)]
        choices = [self._choice(number, place, pieces[place]) for number, place in enumerate(chosen)]
        return self._whole(choices, list(self.reply.answers))

    def _best(self, pieces: list[list[Piece]], first: int) -> list[int]:
        """The answers to one prompt that are shown: all, or those of the highest log-probability a token."""
        places = list(range(first, first + self.copies))
        if self.copies == self.body.copies:
            return places

        def mean(place: int) -> float:
            logprobs = [finite(token.logprob) for piece in pieces[place] for token in piece.tokens]
            return sum(logprobs) / max(1, len(logprobs))

        return sorted(places, key=mean, reverse=True)[: self.body.copies]

    def _choice(self, number: int, place: int, pieces: list[Piece]) -> TextChoice:
        echo = self._echo(place)
        tokens = [*echo.tokens, *(token for piece in pieces for token in piece.tokens)]
        logprobs = None
        if self.body.logprobs is not None:
            offset = 0 if echo.tokens else len(echo.text)
            logprobs = text_logprobs(self.model.tokenizer, tokens, offset, self.body.logprobs)
        text = echo.text + "".join(piece.text for piece in pieces)
        finish = (pieces[-1].finish if pieces else None) or "length"
        return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}

    def scored(self, answers: list[Answer], copies: int) -> TextCompletion:
        """The prompts alone."""
        choices = [self._choice(place, place, []) for place in range(len(self.echoes) * copies)]
        return self._whole(choices, answers)

    def _whole(self, choices: list[TextChoice], answers: list[Answer]) -> TextCompletion:
        return {
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model.name,
            "choices": choices, "usage": usage_of(answers), "system_fingerprint": self.model.fingerprint,
        }  # fmt: skip

    @cached_property
    def _frame(self) -> Frame:
        fields = {
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model.name,
            "system_fingerprint": self.model.fingerprint,
        }  # fmt: skip
        return Frame(fields, wants_usage=self.body.wants_usage)

    async def events(self) -> AsyncIterator[bytes]:
        for index in range(len(self.reply.answers)):
            if (echo := self._echo(index)).text or echo.tokens:
                yield self._chunk(index, echo.text, echo.tokens, 0)
        async for batch in self.reply.batches():
            yield b"".join(self._piece(piece) for piece in batch)
        if self.body.wants_usage:
            yield self._frame.usage(usage_of(self.reply.answers))

    def _piece(self, piece: Piece) -> bytes:
        offset = self._offsets[piece.choice]
        self._offsets[piece.choice] += sum(len(token.text) for token in piece.tokens)
        return self._chunk(piece.choice, piece.text, piece.tokens, offset, finish=piece.finish)

    def _chunk(
        self, index: int, text: str, tokens: list[ShownToken], offset: int, *, finish: str | None = None
    ) -> bytes:
        logprobs = None
        if self.body.logprobs is not None and tokens:
            logprobs = text_logprobs(self.model.tokenizer, tokens, offset, self.body.logprobs)
        return self._frame.choice({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish})
