"""Who answers in a chat: a model in this process (`Here`), or one behind an address (`remote.Remote`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from limpid.core.errors import Interrupted
from limpid.core.signals import StopRequest
from limpid.text.chat import Message

if TYPE_CHECKING:
    from limpid.inference.language_model import LanguageModel
    from limpid.inference.sampler import Sampling


class Piece(NamedTuple):
    """A part of an answer, and how many tokens it is."""

    text: str
    tokens: int


class Speaker(Protocol):
    """A chat model, wherever it is."""

    def introduction(self) -> str:
        """What it is, in a line."""

    def answer(self, messages: Sequence[Message], settings: dict[str, Any]) -> Iterator[Piece]:
        """The next assistant message; settings as in `Sampling`.

        Raises:
            LimpidError: it cannot answer. KeyboardInterrupt: Ctrl-C; what was yielded counts as the answer.
        """

    def fill(self, messages: Sequence[Message], sampling: Sampling) -> list[str]:
        """How full its context is with the whole conversation, in short phrases."""


class Here:
    """A model in this process."""

    def __init__(self, lm: LanguageModel, name: str = "the model") -> None:
        self.lm, self.name = lm, name

    def introduction(self) -> str:
        millions = sum(p.numel() for p in self.lm.model.parameters()) / 1e6
        return f"{self.name}: {millions:.1f}M parameters, context {self.lm.model.config.context} tokens."

    def answer(self, messages: Sequence[Message], settings: dict[str, Any]) -> Iterator[Piece]:
        with StopRequest() as stop:  # a step of the engine is not to be interrupted
            for event in self.lm.stream_chat(messages, **settings):
                yield Piece(event.text, 1)
                if stop.code is not None:
                    break
        if stop.code == 143:
            raise Interrupted("stopped.", 143)
        if stop.code is not None:
            raise KeyboardInterrupt

    def fill(self, messages: Sequence[Message], sampling: Sampling) -> list[str]:
        used, context = self.used(messages), self.lm.model.config.context
        parts = [f"{used:,} of {context:,} tokens used"]
        if used >= self.lm.room(sampling):
            parts.append("the oldest messages will be forgotten")
        return parts

    def used(self, messages: Sequence[Message]) -> int:
        """Tokens of a conversation."""
        from limpid.text.chat import render

        return len(render(self.lm.tokenizer, messages).ids) if messages else 0
