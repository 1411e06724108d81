"""What a stage will learn from, token by token: the rows of a step as its run will see them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError, did_you_mean
from limpid.data.batches import Batch, PackedBatches, TextBatches
from limpid.data.chat_rows import Unfit
from limpid.models.model import Model
from limpid.parallel.environment import World
from limpid.stages.corpus import stores_for, stores_of_line, tokenizer_for
from limpid.stages.fine_tuning import chats_of, talks_of
from limpid.stages.recipe import Recipe, SftSection
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


class Place(NamedTuple):
    """What rows are made with. path: of the checkpoint, if the tokenizer is a model's."""

    tokenizer: Tokenizer
    context: int
    path: Path | None


def inspect_data(recipe: Recipe, stage: str, source: Path | None, *, step: int = 0, rows: int = 4) -> Inspection:
    """The first ``rows`` rows of step ``step`` (from 0) of a stage.

    source: the run that the stage begins from, whose tokenizer and context count; None: the recipe's own, a tokenizer
    learnt anew, as pretraining would.

    Raises:
        LimpidError: there is no such stage, or its data cannot be used, for the reason the stage itself would give.
    """
    if stage not in STAGES:
        raise LimpidError(f"there are no rows to show of a stage '{stage}'.{did_you_mean(stage, STAGES)}")
    with tempfile.TemporaryDirectory() as scratch:
        return STAGES[stage](recipe, _place(recipe, source, Path(scratch)), Path(scratch), step, rows)


def _place(recipe: Recipe, source: Path | None, scratch: Path) -> Place:
    if source is None:
        tokenizer = tokenizer_for(recipe, scratch / "tokenizer.json")
        return Place(tokenizer, recipe.model.config(tokenizer.vocab_size, Model).context, None)
    checkpoint = store.read(source, Model)
    return Place(checkpoint.tokenizer, checkpoint.config.context, checkpoint.path)


def _pretrain(recipe: Recipe, place: Place, scratch: Path, step: int, rows: int) -> Inspection:
    world = World(0, 1, torch.device("cpu"))
    if place.path is None:
        stores = stores_for(recipe, place.tokenizer, scratch / "tokens", world)
    else:
        stores = stores_of_line(recipe, place.tokenizer, scratch / "tokens", place.path, world)
    train = stores["train"]
    in_step = max(1, recipe.train.tokens_per_step // place.context)
    batch = TextBatches(train, place.context, in_step, recipe.train.seed)[step]
    counts = {"documents": train.documents, "tokens": len(train.ids), "trained": len(train.ids) - 1}
    notes = [
        f"a step has {in_step} rows; every window of {place.context} tokens is read once an epoch",
        "the documents of a row are parted by the end-of-text token and see each other",
    ]
    return _inspection("pretrain", place, step, batch.rows(0, rows), counts, notes)


def _conversations(stage: str, section: SftSection, recipe: Recipe, place: Place, step: int, rows: int) -> Inspection:
    talks, note = talks_of(section, chats_of(section, recipe.train.seed), place.tokenizer, place.context)
    all_rows, train = talks.train.batch, talks.train
    in_step = max(2, section.tokens_per_step // place.context)
    of_text = round(in_step * section.text_share)
    batch = PackedBatches(all_rows, in_step - of_text, recipe.train.seed)[step]
    assert all_rows.segments is not None
    padding = int((all_rows.segments == 0).sum())
    trained = int((all_rows.weights > 0).sum())
    counts = {
        "conversations": train.conversations - len(train.dropped),
        "rows": len(all_rows.inputs),
        "trained": trained,
        "masked": all_rows.inputs.numel() - padding - trained,
        "padding": padding,
        "truncated": len(train.truncated),
        "dropped": len(train.dropped),
    }
    for name, held in (("validation", talks.validation), ("test", talks.test)):
        counts[f"{name} conversations"] = 0 if held is None else held.conversations - len(held.dropped)
    notes = [f"a step has {in_step - of_text} rows of conversations and {of_text} of the pretraining text"]
    notes += [note] if note else []
    found = _inspection(stage, place, step, batch.rows(0, rows), counts, notes)
    return found._replace(truncated=train.truncated, dropped=train.dropped)


def _sft(recipe: Recipe, place: Place, scratch: Path, step: int, rows: int) -> Inspection:
    return _conversations("sft", recipe.sft, recipe, place, step, rows)


def _distill(recipe: Recipe, place: Place, scratch: Path, step: int, rows: int) -> Inspection:
    if recipe.distill.text_share == 1:
        return _pretrain(recipe, place, scratch, step, rows)._replace(stage="distill")
    found = _conversations("distill", recipe.distill, recipe, place, step, rows)
    if recipe.distill.method == "answers":
        found.notes.append("in training the last answer of each conversation is the teacher's, and no other is trained")
    return found


def _inspection(
    stage: str, place: Place, step: int, batch: Batch, counts: dict[str, int], notes: list[str]
) -> Inspection:
    tokenizer = place.tokenizer
    name = f"{tokenizer.kind}, {tokenizer.vocab_size} tokens"
    rows = [_row(number, batch.rows(number, number + 1), tokenizer) for number in range(len(batch.inputs))]
    return Inspection(stage, name, place.context, step, rows, counts, [], [], notes)


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


STAGES: dict[str, Callable[[Recipe, Place, Path, int, int], Inspection]] = {
    "pretrain": _pretrain,
    "sft": _sft,
    "distill": _distill,
}
"""Stage -> what shows its rows."""
