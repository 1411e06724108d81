"""Serving a decoder: answers come out of the engine, token by token."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from limpid.core.errors import LimpidError
from limpid.inference.engine import Engine
from limpid.inference.grammar import JsonGrammars, JsonMask
from limpid.inference.reading import ReadToken, embed, read_tokens
from limpid.inference.request import Request
from limpid.inference.sampler import Sampling
from limpid.server.answer import Answer, Speech
from limpid.server.errors import bad_request, context_exceeded
from limpid.server.metrics import ModelMetrics
from limpid.server.models import ServedModel
from limpid.server.requests import ChatBody, CompletionBody
from limpid.server.runner import Runner
from limpid.server.tools import CallStyle, call_style, forced_schema
from limpid.text import chat, chat_template
from limpid.text.tokenizer import Tokenizer

COMPLETION_TOKENS = 16
"""The length of a text completion that does not say how long it may be: OpenAI's."""


class DecoderAnswer(Answer):
    """One answer of a decoder. copy: its number among the answers to its prompt, which draws its own numbers.

    begun: how many of the prompt's last tokens the answer begins with.
    """

    def __init__(
        self,
        index: int,
        prompt: list[int],
        sampling: Sampling,
        *,
        copy: int,
        stop_ids: Collection[int],
        speech: Speech,
        mask: JsonMask | None,
        begun: int = 0,
    ) -> None:
        super().__init__(index, len(prompt), counts_prompt=copy == 0)
        self.begun = begun
        self.prompt, self.sampling, self.copy = prompt, sampling, copy
        self.stop_ids, self.speech, self.mask = stop_ids, speech, mask
        self.request: Request | None = None


class EngineRunner(Runner):
    """Steps an engine."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        metrics: ModelMetrics,
        *,
        rows: int,
        queue: int,
    ) -> None:
        self.engine = engine
        self._asked: dict[Request, DecoderAnswer] = {}
        super().__init__(loop, metrics, rows=rows, queue=queue)

    def _rows_in_use(self) -> int:
        return self.engine.load["running"]

    def _begin(self, answer: Answer) -> None:
        assert isinstance(answer, DecoderAnswer)
        request = self.engine.submit(
            answer.prompt, answer.sampling,
            stop_ids=answer.stop_ids, row=answer.copy, mask=answer.mask, begun=answer.begun,
        )  # fmt: skip
        answer.request = request
        self._asked[request] = answer

    def _drop(self, answer: Answer) -> None:
        assert isinstance(answer, DecoderAnswer)
        if answer.request is not None:
            self.engine.cancel(answer.request)
            self._asked.pop(answer.request, None)

    def _has_work(self) -> bool:
        return self.engine.busy

    def _step(self) -> None:
        for event in self.engine.step():
            request = event.request
            request.inbox.clear()  # the events are these
            answer = self._asked.get(request)
            if answer is None:
                continue  # cancelled meanwhile
            piece = answer.speech.push(
                event.token_id, event.logprob, event.alternatives, event.finish,
                event.chances, event.entropy, event.rank,
            )  # fmt: skip
            ended = piece is not None and piece.finish is not None
            if ended:
                self.engine.cancel(request)  # a stop string ends an answer that the engine would go on with
                self._asked.pop(request, None)  # its client may hang up in this very moment, which `_drop`s it
            if ended and answer.mask is not None and answer.mask.fault is not None:
                self._fail([answer], bad_request(f"The schema became too complex: {answer.mask.fault}"))
            else:
                self._say(answer, piece)

    def _reset(self) -> None:
        self._asked.clear()
        self.engine.restart()


class DecoderModel(ServedModel):
    """A decoder behind chat and text completions, embeddings and scoring."""

    kind = "decoder"

    def __init__(
        self, name: str, tokenizer: Tokenizer, runner: EngineRunner, *, context: int, created: int, fingerprint: str
    ) -> None:
        super().__init__(name, tokenizer, runner, context=context, created=created, fingerprint=fingerprint)
        self._engines = runner
        self._knows_tools = tokenizer.conventions is not None and chat_template.knows_tools(tokenizer.conventions)
        self._chat_grammars = JsonGrammars(tokenizer, tokenizer.chat_stops) if tokenizer.can_chat else None

    @property
    def call_style(self) -> CallStyle:
        """How this model writes calls of tools."""
        conventions = self.tokenizer.conventions
        return call_style(conventions.chat_template if conventions and self._knows_tools else None)

    def chat_answers(self, body: ChatBody) -> list[Answer]:
        forced = forced_schema(body, self.call_style)
        turns = body.turns()
        for turn in turns:
            self.check_length(turn["content"], "messages")
        ids = self.chat_ids(turns, [tool.model_dump(exclude_none=True) for tool in body.tools or ()])
        if forced is not None:
            ids += self.tokenizer.encode(forced.prefix)
        schema = body.schema_wanted if forced is None else forced.schema
        mask = None if schema is None else self._grammar(schema, "tools" if forced else "response_format")
        limit_param = "max_completion_tokens" if body.max_completion_tokens else "max_tokens"
        room = self._room(ids, "messages", body.limit, limit_param)
        sampling = body.sampling(room, body.top_logprobs or 0, self.tokenizer.vocab_size)
        stops, wants = self.tokenizer.chat_stops, bool(body.logprobs)
        return [self._answer(copy, ids, sampling, copy, stops, wants, mask) for copy in range(body.copies)]

    def text_answers(self, body: CompletionBody) -> list[Answer]:
        copies = body.best_of or body.copies
        limit = COMPLETION_TOKENS if body.max_tokens is None else body.max_tokens
        wants = body.logprobs is not None or copies > body.copies
        answers: list[Answer] = []
        sampling: Sampling | None = None
        for prompt in body.prompt:
            ids = self.prompt_ids(prompt, "prompt") or [self.tokenizer.end_of_text]
            room = self._room(ids, "prompt", max(limit, 1), "max_tokens")
            if sampling is None:
                sampling = body.sampling(room, body.logprobs or 0, self.tokenizer.vocab_size)
            own = sampling.model_copy(update={"max_tokens": room})
            answers += [
                self._answer(len(answers) + copy, ids, own, copy, self.tokenizer.text_stops, wants, None)
                for copy in range(copies)
            ]
        return answers

    def check_speaks(self) -> None:
        pass

    def token_answer(self, ids: list[int], begun: list[int], sampling: Sampling, stop_ids: frozenset[int]) -> Answer:
        speech = Speech(
            self.tokenizer, 0,
            previous=ids[-1], stop_ids=stop_ids, stops=sampling.stop, wants_tokens=True, keeps_end=True, begun=begun,
        )  # fmt: skip
        return DecoderAnswer(
            0, [*ids, *begun], sampling, copy=0, stop_ids=stop_ids, speech=speech, mask=None, begun=len(begun)
        )

    def chat_ids(self, turns: list[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> list[int]:
        """Ends where the assistant speaks; a last message of the assistant's is what it has said already."""
        begun = None
        if turns[-1]["role"] == "assistant" and not turns[-1].get("tool_calls"):
            *turns, begun = turns
        ids = chat.prompt(self.tokenizer, turns, tools)
        return ids if begun is None else [*ids, *self.tokenizer.encode(begun["content"])]

    async def embedding(self, ids: list[int]) -> list[float]:
        return await self.runner.call(lambda: embed(self._engines.engine, ids))

    async def read(self, ids: list[int], alternatives: int) -> list[ReadToken]:
        return await self.runner.call(lambda: read_tokens(self._engines.engine, ids, alternatives))

    def _grammar(self, schema: dict[str, Any], param: str) -> JsonMask:
        assert self._chat_grammars is not None  # the prompt could be made, so this model can chat
        try:
            return self._chat_grammars.compile(schema)
        except LimpidError as error:
            raise bad_request(f"'{param}': {error}", param) from None

    def _answer(
        self,
        index: int,
        ids: list[int],
        sampling: Sampling,
        copy: int,
        stop_ids: Collection[int],
        wants_tokens: bool,
        mask: JsonMask | None,
    ) -> DecoderAnswer:
        speech = Speech(
            self.tokenizer, index,
            previous=ids[-1], stop_ids=stop_ids, stops=sampling.stop, wants_tokens=wants_tokens,
        )  # fmt: skip
        own = None if mask is None else mask.copy()
        return DecoderAnswer(index, ids, sampling, copy=copy, stop_ids=stop_ids, speech=speech, mask=own)

    def _room(self, ids: list[int], param: str, limit: int | None, limit_param: str) -> int:
        """How many tokens an answer may have: what was asked for, as far as the context goes."""
        if len(ids) >= self.context:
            raise context_exceeded(len(ids), self.context, param)
        if limit is not None and limit > self.context:
            raise bad_request(
                f"'{limit_param}' = {limit}, and this model's context is {self.context} tokens.", limit_param
            )
        return min(limit or self.context, self.context - len(ids))
