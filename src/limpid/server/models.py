"""The models a server offers, by name: an allow-list, to which only its own page can add: checkpoints of runs."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from typing_extensions import TypedDict

from limpid.inference.reading import ReadToken
from limpid.inference.sampler import Sampling
from limpid.server.answer import Answer
from limpid.server.errors import ApiError, bad_request, context_exceeded
from limpid.server.requests import ChatBody, CompletionBody
from limpid.server.runner import Runner
from limpid.server.tools import CallStyle, call_style
from limpid.text.tokenizer import Tokenizer


class ModelCard(TypedDict):
    """What /v1/models says of one. max_model_len: the context in tokens, as vLLM calls it."""

    id: str
    object: str
    created: int
    owned_by: str
    max_model_len: int
    kind: str


class ServedModel(ABC):
    """One model with its name and the thread that computes it.

    created: seconds since 1970. fingerprint: of the weights. context: in tokens. What builds answers is slow enough
    (templates, tokenizers, grammars) to be called on a worker thread.
    """

    kind: str

    def __init__(
        self, name: str, tokenizer: Tokenizer, runner: Runner, *, context: int, created: int, fingerprint: str
    ) -> None:
        self.name, self.tokenizer, self.runner = name, tokenizer, runner
        self.context, self.created, self.fingerprint = context, created, fingerprint
        self.unloaded = False
        self.facts: dict[str, Any] = {}  # what the page says of it beside its name: sizes, stage, device
        self._longest = max(len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size))

    def unload(self) -> None:
        """Blocking: end its answers and its thread, each told that it is gone; nothing here brings it back."""
        self.unloaded = True
        self.runner.stop(why=functools.partial(gone, self.name))

    @property
    def card(self) -> ModelCard:
        return {
            "id": self.name, "object": "model", "created": self.created, "owned_by": "limpid",
            "max_model_len": self.context, "kind": self.kind,
        }  # fmt: skip

    @property
    def call_style(self) -> CallStyle:
        """How this model writes calls of tools."""
        return call_style(None)

    @abstractmethod
    def chat_answers(self, body: ChatBody) -> list[Answer]:
        """The answers that a chat request asks for. Raises ApiError or LimpidError."""

    @abstractmethod
    def text_answers(self, body: CompletionBody) -> list[Answer]:
        """The answers that a completion request asks for: all of the first prompt, then of the next."""

    @abstractmethod
    def chat_ids(self, turns: list[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> list[int]:
        """The prompt that a conversation becomes."""

    @abstractmethod
    async def embedding(self, ids: list[int]) -> list[float]:
        """One vector for a text."""

    @abstractmethod
    async def read(self, ids: list[int], alternatives: int) -> list[ReadToken]:
        """How probable each token of a prompt was."""

    def check_speaks(self) -> None:
        """Raise ApiError where a model's answers do not come token by token."""
        raise bad_request(f"The model {self.name!r} does not answer token by token.", "model")

    def token_answer(self, ids: list[int], begun: list[int], sampling: Sampling, stop_ids: frozenset[int]) -> Answer:
        """An answer to a prompt of these ids that begins with the tokens ``begun`` and shows every token's numbers.

        Raises ApiError as `check_speaks` does.
        """
        raise NotImplementedError  # whoever speaks says how

    def check_length(self, text: str, param: str) -> None:
        """Raise ApiError where a text cannot fit, whatever its tokens: encoding megabytes takes seconds."""
        if self.tokenizer.byte_level and len(text) > self.context * self._longest:
            raise context_exceeded(f"more than {len(text) // self._longest}", self.context, param)

    def prompt_ids(self, prompt: str | list[int], param: str) -> list[int]:
        """The ids of a text as a document begins, or the given ids where they are tokens of this model."""
        if isinstance(prompt, str):
            self.check_length(prompt, param)
            return [*self.tokenizer.opening, *self.tokenizer.encode(prompt)]
        for token in prompt:
            if not 0 <= token < self.tokenizer.vocab_size:
                last = self.tokenizer.vocab_size - 1
                raise bad_request(f"{token!r:.40} is no token id of this model: they go from 0 to {last}.", param)
        return prompt


def gone(name: str) -> ApiError:
    """410 for a model that was unloaded after the request found it."""
    return ApiError(410, f"The model {name!r} was unloaded.", param="model", code="model_unloaded")


class Catalogue:
    """The served models in the order they were given."""

    def __init__(self, models: Iterable[ServedModel] = ()) -> None:
        self._models = {model.name: model for model in models}
        self.added: frozenset[str] = frozenset()

    def add(self, model: ServedModel) -> None:
        """Offer one more."""
        self._models = self._models | {model.name: model}  # whoever walks through the old table goes on undisturbed
        self.added |= {model.name}

    def remove(self, name: str) -> ServedModel:
        """Offer one that was added no longer; who has it still may go on with it. Raises ApiError."""
        model = self.find(name)
        if name not in self.added:
            raise ApiError(
                409, f"The model {name!r} was named when the server was started; it stays until the server ends.",
                param="model", code="model_stays",
            )  # fmt: skip
        self._models = {other: found for other, found in self._models.items() if other != name}
        self.added -= {name}
        return model

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def find(self, name: str | None) -> ServedModel:
        """The model of that name; the first where none is named. Raises ApiError 404."""
        if not self._models:
            text = "No model is served here. Load a checkpoint on the page Runs, or start with one: limpid serve RUN."
            raise ApiError(404, text, param="model", code="model_not_found")
        if name is None:
            return next(iter(self._models.values()))
        if name not in self._models:
            there = ", ".join(self._models)
            shown = name if len(name) <= 100 else f"{name[:100]}..."
            text = f"The model {shown!r} does not exist here. There are: {there}."
            raise ApiError(404, text, param="model", code="model_not_found")
        return self._models[name]
