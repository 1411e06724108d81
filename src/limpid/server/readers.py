"""Serving what reads and says nothing: encoders, which tell hidden tokens, and classifiers, which name classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from limpid.data.task_batches import encode
from limpid.inference.classifier import Classifier, Prediction
from limpid.inference.reading import ReadToken, embed
from limpid.models.bidirectional import Encoder
from limpid.server.answer import Answer
from limpid.server.errors import ApiError, bad_request
from limpid.server.models import ServedModel
from limpid.server.requests import ChatBody, CompletionBody
from limpid.server.runner import Runner
from limpid.text.task_inputs import Form
from limpid.text.tokenizer import Tokenizer


class ReaderRunner(Runner):
    """A thread that only answers `call`s: nothing is ever said token by token."""

    def _rows_in_use(self) -> int:
        return 0

    def _begin(self, answer: Answer) -> None:
        raise NotImplementedError  # a reader makes no answers

    def _drop(self, answer: Answer) -> None:
        raise NotImplementedError

    def _has_work(self) -> bool:
        return False

    def _step(self) -> None:
        raise NotImplementedError

    def _reset(self) -> None:
        pass


class Reader(ServedModel):
    """Behind the same endpoints, of which those that want words are refused."""

    noun: str
    """What it is and what it does, for the refusal."""

    def check_speaks(self) -> NoReturn:
        raise ApiError(
            400, f"The model {self.name!r} is {self.noun} and generates no text.",
            param="model", code="model_does_not_generate",
        )  # fmt: skip

    def chat_answers(self, body: ChatBody) -> list[Answer]:
        self.check_speaks()

    def text_answers(self, body: CompletionBody) -> list[Answer]:
        self.check_speaks()

    def chat_ids(self, turns: list[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> list[int]:
        self.check_speaks()

    async def read(self, ids: list[int], alternatives: int) -> list[ReadToken]:
        self.check_speaks()


class EncoderModel(Reader):
    """A bidirectional encoder."""

    kind = "encoder"
    noun = "an encoder: it fills hidden tokens in"

    def __init__(self, name: str, tokenizer: Tokenizer, runner: Runner, model: Encoder, **about: Any) -> None:
        super().__init__(name, tokenizer, runner, **about)
        self._model = model

    async def embedding(self, ids: list[int]) -> list[float]:
        return await self.runner.call(lambda: embed(self._model, ids))


class ClassifierModel(Reader):
    """A task model that names a class, chooses, or scores."""

    kind = "classifier"
    noun = "a classifier: it sorts texts"

    def __init__(self, name: str, runner: Runner, classifier: Classifier, **about: Any) -> None:
        super().__init__(name, classifier.tokenizer, runner, **about)
        self._classifier = classifier

    async def embedding(self, ids: list[int]) -> list[float]:
        backbone: Any = self._classifier.model.backbone
        return await self.runner.call(lambda: embed(backbone, ids))

    async def predict(self, texts: Sequence[str]) -> Prediction:
        """The class of one example; see `Classifier.predict`."""
        (found,) = await self.runner.call(lambda: self._classifier.predict([texts]))
        return found

    def sequences(self, texts: Sequence[str], form: Form | None = None) -> list[list[int]]:
        """The token ids that it reads of an example, each sequence with its control tokens. form: the task's own.

        Raises:
            ApiError: they are longer than the context, where the classifier itself would cut them.
        """
        for text in texts:
            self.check_length(text, "texts")
        encoded = encode([list(texts)], form or self._classifier.form, self.tokenizer, self.context)
        if encoded.cut:
            raise bad_request(
                f"These texts are longer than the {self.context} tokens that this model reads; shorten them.",
                "texts", "context_length_exceeded",
            )  # fmt: skip
        return encoded.sequences[0]
