"""Serving an encoder-decoder: every line of a prompt is a sentence, and its translation comes whole."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from limpid.inference.reading import ReadToken, embed
from limpid.inference.translator import Translated, Translator
from limpid.server.answer import Answer, Finish, Piece, Speech
from limpid.server.errors import bad_request, context_exceeded
from limpid.server.metrics import ModelMetrics
from limpid.server.models import ServedModel
from limpid.server.requests import ChatBody, CompletionBody, GenerationBody
from limpid.server.runner import Runner

BEAM = 5


class Search(NamedTuple):
    """How a sentence is translated (see `beam_search`). Sentences alike in it are translated together."""

    beam: int
    length_penalty: float
    max_tokens: int | None


class TranslatorAnswer(Answer):
    """The translation of a text, line by line."""

    def __init__(self, index: int, prompt_tokens: int, lines: Sequence[str], search: Search, speech: Speech) -> None:
        super().__init__(index, prompt_tokens)
        self.lines = deque(lines)
        self.search, self.speech = search, speech


class TranslatorRunner(Runner):
    """Each step translates the next line of every answer under way, those of equal settings together."""

    def __init__(
        self, translator: Translator, loop: asyncio.AbstractEventLoop, metrics: ModelMetrics, *, rows: int, queue: int
    ) -> None:
        self.translator = translator
        super().__init__(loop, metrics, rows=rows, queue=queue)

    def _rows_in_use(self) -> int:
        return len(self._running)

    def _begin(self, answer: Answer) -> None:
        pass  # it is among those that run

    def _drop(self, answer: Answer) -> None:
        pass  # it is swept away before the next line

    def _has_work(self) -> bool:
        return bool(self._running)

    def _reset(self) -> None:
        pass  # nothing outlives a step

    def _step(self) -> None:
        groups: dict[Search, list[TranslatorAnswer]] = defaultdict(list)
        for answer in list(self._running):
            assert isinstance(answer, TranslatorAnswer)
            groups[answer.search].append(answer)
        for search, answers in groups.items():
            lines = [answer.lines.popleft() for answer in answers]
            done = self.translator.translate(
                lines, beam=search.beam, length_penalty=search.length_penalty, max_tokens=search.max_tokens,
                rows=max(1, self.rows // search.beam),
            )  # fmt: skip
            for answer, translated in zip(answers, done, strict=True):
                self._take(answer, translated)

    def _take(self, answer: TranslatorAnswer, translated: Translated) -> None:
        left = answer.search.max_tokens
        if left is not None:
            left -= len(translated.tokens)
            answer.search = answer.search._replace(max_tokens=max(left, 0))
        cut = bool(translated.tokens) and translated.tokens[-1][0] != self.translator.end
        finish: Finish | None = None
        if cut or (left is not None and left <= 0 and answer.lines):
            finish = "length"
        elif not answer.lines:
            finish = "stop"
        speech = answer.speech
        pieces = [speech.push(token, logprob, [], None) for token, logprob in translated.tokens]
        if not any(piece is not None and piece.finish for piece in pieces):
            pieces.append(speech.insert("" if finish else "\n", finish))
        piece = _joined(answer.index, [piece for piece in pieces if piece is not None])
        self._say(answer, piece, len(translated.tokens))


def _joined(index: int, pieces: list[Piece]) -> Piece:
    shown: list[Piece] = []
    for piece in pieces:
        shown.append(piece)
        if piece.finish is not None:
            break
    tokens = [token for piece in shown for token in piece.tokens]
    return Piece(index, "".join(piece.text for piece in shown), tokens, shown[-1].finish if shown else None)


class TranslatorModel(ServedModel):
    """An encoder-decoder behind the same endpoints. What is about drawing tokens does not concern a search."""

    kind = "encoder-decoder"

    def __init__(self, name: str, runner: TranslatorRunner, *, context: int, created: int, fingerprint: str) -> None:
        self._translator = runner.translator
        tokenizer = self._translator.tokenizer
        super().__init__(name, tokenizer, runner, context=context, created=created, fingerprint=fingerprint)

    def chat_answers(self, body: ChatBody) -> list[Answer]:
        """The last message of the user's, translated."""
        if body.tools:
            raise bad_request("This model translates; it calls no tools.", "tools")
        if body.schema_wanted is not None:
            raise bad_request("This model translates; it writes no JSON.", "response_format")
        if body.top_logprobs:
            raise bad_request("A search reports its tokens' probabilities, not their alternatives.", "top_logprobs")
        text = self._last_words(body.turns())
        return [self._answer(0, text, body, body.limit, "messages", wants_tokens=bool(body.logprobs))]

    def text_answers(self, body: CompletionBody) -> list[Answer]:
        if (body.best_of or 1) > 1:
            raise bad_request("A translator gives one answer to a text.", "best_of")
        if body.logprobs:
            raise bad_request("A search reports its tokens' probabilities, not their alternatives.", "logprobs")
        answers: list[Answer] = []
        for prompt in body.prompt:
            ids = self.prompt_ids(prompt, "prompt")
            text = prompt if isinstance(prompt, str) else self.tokenizer.decode(ids)
            wants = body.logprobs is not None
            answers.append(self._answer(len(answers), text, body, body.max_tokens, "prompt", wants_tokens=wants))
        return answers

    def chat_ids(self, turns: list[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> list[int]:
        return self._source(self._last_words(turns), "messages")

    async def embedding(self, ids: list[int]) -> list[float]:
        return await self.runner.call(lambda: embed(self._translator.model, ids))

    async def read(self, ids: list[int], alternatives: int) -> list[ReadToken]:
        raise bad_request("An encoder-decoder reads its source whole: it has no probabilities for it.", "echo")

    def _answer(
        self, index: int, text: str, body: GenerationBody, limit: int | None, param: str, *, wants_tokens: bool
    ) -> TranslatorAnswer:
        if body.copies > 1:
            raise bad_request("A translator gives one answer to a text.", "n")
        if limit is not None and limit > self.context:
            raise bad_request(
                f"'max_tokens' = {limit}, and this model's context is {self.context} tokens.", "max_tokens"
            )
        lines = text.split("\n")
        count = sum(len(self._source(line, param)) for line in lines)
        penalty = 1.0 if body.length_penalty is None else body.length_penalty
        search = Search(body.beam or BEAM, penalty, limit)
        speech = Speech(
            self.tokenizer, index,
            previous=self.tokenizer.end_of_text, stop_ids={self._translator.end}, stops=body.stop or (),
            wants_tokens=wants_tokens,
        )  # fmt: skip
        return TranslatorAnswer(index, count, lines, search, speech)

    def _source(self, line: str, param: str) -> list[int]:
        """What the encoder reads of a line. Raises ApiError where it is longer than the context."""
        self.check_length(line, param)
        ids = [*self.tokenizer.encode(line), self._translator.end]
        if len(ids) > self.context:
            raise context_exceeded(len(ids), self.context, param)
        return ids

    @staticmethod
    def _last_words(turns: list[dict[str, Any]]) -> str:
        words = [turn["content"] for turn in turns if turn["role"] == "user"]
        if not words:
            raise bad_request("There is no message of a user's to translate.", "messages")
        text: str = words[-1]
        return text
