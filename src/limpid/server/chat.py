"""POST /v1/chat/completions: what a conversation's next turn is, whole or streamed."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from limpid.server.answer import Piece, Reply
from limpid.server.models import ServedModel
from limpid.server.requests import ChatBody
from limpid.server.responses import AssistantMessage, ChatChoice, ChatCompletion, chat_logprobs, usage_of
from limpid.server.stream import EventStream, Frame, in_thread, whole
from limpid.server.tools import CallPart, MessageReader, joined


async def answer(model: ServedModel, body: ChatBody, request: Request) -> Response:
    """The response to a checked request."""
    with model.runner.expecting():
        reply = model.runner.submit(await in_thread(model.chat_answers, body))
    talk = _Talk(model, body, reply)
    if body.stream:
        return EventStream(reply, talk.events())
    return await whole(reply, request, talk.completion)


class _Talk:
    """One request's answers in OpenAI's words."""

    def __init__(self, model: ServedModel, body: ChatBody, reply: Reply) -> None:
        self.model, self.body, self.reply = model, body, reply
        self.id = f"chatcmpl-{secrets.token_hex(16)}"
        self.created = int(time.time())
        self.readers = [MessageReader(body, model.call_style) for _ in reply.answers]

    async def completion(self) -> ChatCompletion:
        contents = ["" for _ in self.readers]
        calls: list[list[CallPart]] = [[] for _ in self.readers]
        pieces: list[list[Piece]] = [[] for _ in self.readers]
        async for batch in self.reply.batches():
            for piece in batch:
                content, parts = self.readers[piece.choice].push(piece.text, piece.finish)
                contents[piece.choice] += content
                calls[piece.choice] += parts
                pieces[piece.choice].append(piece)
        choices = [self._choice(i, contents[i], calls[i], pieces[i]) for i in range(len(contents))]
        return {
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model.name,
            "choices": choices, "usage": usage_of(self.reply.answers), "system_fingerprint": self.model.fingerprint,
        }  # fmt: skip

    def _choice(self, index: int, content: str, calls: list[CallPart], pieces: list[Piece]) -> ChatChoice:
        message: AssistantMessage = {"role": "assistant", "content": content, "refusal": None}
        if calls:
            message["content"] = content or None
            message["tool_calls"] = joined(calls)
        logprobs = None
        if self.body.logprobs:
            logprobs = chat_logprobs(self.model.tokenizer, [token for piece in pieces for token in piece.tokens])
        finish = self._finish(index, pieces[-1])
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish or "stop"}

    @cached_property
    def _frame(self) -> Frame:
        fields = {
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model.name,
            "system_fingerprint": self.model.fingerprint,
        }  # fmt: skip
        return Frame(fields, wants_usage=self.body.wants_usage)

    async def events(self) -> AsyncIterator[bytes]:
        for index in range(len(self.readers)):
            yield self._chunk(index, {"role": "assistant", "content": ""})
        async for batch in self.reply.batches():
            if part := b"".join(self._chunks(piece) for piece in batch):
                yield part
        if self.body.wants_usage:
            yield self._frame.usage(usage_of(self.reply.answers))

    def _chunks(self, piece: Piece) -> bytes:
        content, parts = self.readers[piece.choice].push(piece.text, piece.finish)
        events = b""
        if content or piece.tokens:
            events += self._chunk(piece.choice, {"content": content}, piece)
        if parts:
            events += self._chunk(piece.choice, {"tool_calls": parts})
        if piece.finish is not None:
            events += self._chunk(piece.choice, {}, finish=self._finish(piece.choice, piece))
        return events

    def _chunk(
        self, index: int, delta: dict[str, Any], piece: Piece | None = None, *, finish: str | None = None
    ) -> bytes:
        logprobs = None
        if self.body.logprobs and piece is not None:
            logprobs = chat_logprobs(self.model.tokenizer, piece.tokens)
        return self._frame.choice({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})

    def _finish(self, index: int, piece: Piece) -> str | None:
        return "tool_calls" if piece.finish == "stop" and self.readers[index].called else piece.finish
