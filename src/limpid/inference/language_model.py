"""The public face of a trained model: generate, stream, chat, and look at its numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.recipe import parse
from limpid.inference.engine import Engine
from limpid.inference.request import Finish
from limpid.inference.sampler import Sampling
from limpid.models.decoder import Decoder
from limpid.text.chat import Message, fitting_prompt
from limpid.text.streaming import StopStrings, Utf8Stream
from limpid.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace


class Alternative(NamedTuple):
    """A candidate for the next token: its text and id; its probability to the model, and its chance in the drawing,
    after penalties, temperature and filters."""

    text: str
    token_id: int
    probability: float
    chance: float


class TextEvent(NamedTuple):
    """One generated token.

    text: what can be shown now; empty while a character's bytes, or a possible stop string, are still incomplete.
    token_id, logprob: the token and the natural log of the model's own probability for it.
    alternatives: the most probable candidates at that place, best first. finish: "stop" or "length" in the last event.
    """

    text: str
    token_id: int
    logprob: float
    alternatives: list[Alternative]
    finish: Finish | None


class LanguageModel:
    """A model with its tokenizer. Keyword arguments of the generating methods are the fields of `Sampling`."""

    def __init__(self, model: Decoder, tokenizer: Tokenizer, *, int8: bool = False) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.engine = Engine(model, int8=int8)

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """(T, V) float32: scores of the next token after each prefix."""
        scores: npt.NDArray[np.float32] = self.engine.logits(token_ids).cpu().numpy()
        return scores

    def trace(self, text: str | Sequence[int], **options: Any) -> Trace:
        """Open the model on a text, or on token ids: attention, residual stream, logit lens, what comes next.

        options: those of `limpid.inspection.trace.trace`. Generating is never slower for it.
        """
        from limpid.inspection.trace import trace

        return trace(self.model, text, self.tokenizer, **options)

    def stream(self, prompt: str, **sampling: Any) -> Iterator[TextEvent]:
        """Continue ``prompt``, yielding each token as it is drawn; it ends at end-of-text, a stop string or max_tokens.

        A prompt that leaves too little room (see `room`) keeps its end.
        """
        settings = _sampling(sampling)
        opening = self.tokenizer.opening
        ids = [*opening, *self.tokenizer.encode(prompt)[len(opening) - self.room(settings) :]]
        return self._stream(ids or [self.tokenizer.end_of_text], settings, self.tokenizer.text_stops)

    def generate(self, prompt: str, **sampling: Any) -> str:
        """The continuation of ``prompt`` as one string."""
        return "".join(event.text for event in self.stream(prompt, **sampling))

    def stream_chat(
        self, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any
    ) -> Iterator[TextEvent]:
        """The assistant's answer to a conversation, token by token; old turns that no longer fit are left out.

        tools: functions it may call, as OpenAI's API has them; a call is part of what it says (`text.tool_calls`).
        """
        settings = _sampling(sampling)
        ids = fitting_prompt(self.tokenizer, messages, self.room(settings), tools)
        return self._stream(ids, settings, self.tokenizer.chat_stops)

    def chat(self, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any) -> str:
        """The assistant's answer as one string."""
        return "".join(event.text for event in self.stream_chat(messages, tools=tools, **sampling))

    def room(self, sampling: Sampling) -> int:
        """The tokens a prompt may have: the context but for a quarter of it, or max_tokens, kept for the answer."""
        context = self.model.config.context
        return context - max(1, min(sampling.max_tokens, context // 4))

    def _stream(self, ids: list[int], sampling: Sampling, stop_ids: Collection[int]) -> Iterator[TextEvent]:
        utf8, stops, previous = Utf8Stream(), StopStrings(sampling.stop), ids[-1]
        for (event,) in self.engine.generate([ids], sampling, stop_ids=stop_ids):
            text = stops.push(utf8.push(self.tokenizer.bytes_after(previous, event.token_id)))
            previous = event.token_id
            finish: Finish | None = "stop" if stops.stopped is not None else event.finish
            if finish is not None and stops.stopped is None:
                text += stops.push(utf8.flush()) + stops.flush()
            alternatives = [
                Alternative(self.tokenizer.token_text(i), i, probability, chance)
                for (i, probability), chance in zip(event.alternatives, event.chances, strict=True)
            ]
            yield TextEvent(text, event.token_id, event.logprob, alternatives, finish)
            if finish is not None:
                return


def _sampling(settings: dict[str, Any]) -> Sampling:
    return parse(Sampling, settings, "sampling")
