"""Rows of a batch as they are shown: tokens with what becomes of them, in documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from limpid.data.batches import Batch
from limpid.data.chat_rows import Unfit
from limpid.text.tokenizer import Tokenizer

State = Literal["trained", "masked"]


class Token(NamedTuple):
    """One token of a row; trained: the model learns to say it there."""

    id: int
    text: str
    state: State


class Document(NamedTuple):
    """Tokens that see each other, and no others. label: what they are, where the stage knows more than one kind."""

    tokens: list[Token]
    label: str = ""


class Row(NamedTuple):
    """A row of the step's batch. padding: places at its end that hold nothing."""

    number: int
    documents: list[Document]
    padding: int


class Inspection(NamedTuple):
    """rows: the first of those of the step. counts: over all the stage's rows (of one step, where they are endless).

    truncated, dropped: what lost its end, and what is in no row. notes: what else there is to know.
    """

    stage: str
    tokenizer: str
    context: int
    step: int
    rows: list[Row]
    counts: dict[str, int]
    truncated: list[Unfit]
    dropped: list[Unfit]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same in plain values."""
        rows = [
            {
                "number": row.number,
                "padding": row.padding,
                "documents": [
                    {"label": document.label, "tokens": [token._asdict() for token in document.tokens]}
                    for document in row.documents
                ],
            }
            for row in self.rows
        ]
        unfit = {name: [each._asdict() for each in getattr(self, name)] for name in ("truncated", "dropped")}
        return self._asdict() | {"rows": rows} | unfit


def rows_of(batch: Batch, tokenizer: Tokenizer) -> list[Row]:
    """Every row of a batch of next-token targets."""
    return [_row(number, batch.rows(number, number + 1), tokenizer) for number in range(len(batch.inputs))]


def _row(number: int, row: Batch, tokenizer: Tokenizer) -> Row:
    """A row's documents: the first token, which nothing foretells, and then every target with its weight."""
    inputs, targets, weights = (part[0].tolist() for part in (row.inputs, row.targets, row.weights))
    segments = [1] * len(inputs) if row.segments is None else row.segments[0].tolist()
    documents: list[Document] = []
    before = 0
    for first, target, weight, segment in zip(inputs, targets, weights, segments, strict=True):
        if segment == 0:
            break
        if segment != before:
            documents.append(Document([_token(tokenizer, first, 0.0)]))
            before = segment
        documents[-1].tokens.append(_token(tokenizer, target, weight))
    return Row(number, documents, segments.count(0))


def _token(tokenizer: Tokenizer, token_id: int, weight: float) -> Token:
    return Token(token_id, tokenizer.token_text(token_id), "trained" if weight else "masked")


def runs(tokens: list[Token]) -> Iterator[tuple[State, list[Token]]]:
    """Neighbours of one state together."""
    begin = 0
    for place in range(1, len(tokens) + 1):
        if place == len(tokens) or tokens[place].state != tokens[begin].state:
            yield tokens[begin].state, tokens[begin:place]
            begin = place


def document(tokenizer: Tokenizer, ids: Sequence[int], trained_from: int, label: str = "") -> Document:
    """A text of which the tokens from place ``trained_from`` on are trained."""
    tokens = [_token(tokenizer, token_id, float(place >= trained_from)) for place, token_id in enumerate(ids)]
    return Document(tokens, label)
