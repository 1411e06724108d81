"""What a stage will learn from, token by token: the rows of a step as its run will see them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError, did_you_mean
from limpid.data.batches import PackedBatches, TextBatches
from limpid.data.preference_batches import PreferenceExamples
from limpid.data.questions import read_questions
from limpid.data.task_batches import TaskBatches
from limpid.models.model import Model
from limpid.parallel.environment import World
from limpid.stages.corpus import stores_for, stores_of_line, tokenizer_for
from limpid.stages.fine_tuning import chats_of, talks_of
from limpid.stages.pairs import load_pairs
from limpid.stages.preference_recipe import DpoSection, RewardSection
from limpid.stages.recipe import Recipe, SftSection
from limpid.stages.rl import fitting
from limpid.stages.rl_recipe import GrpoSection, RlSection
from limpid.stages.shown_rows import Inspection, Row, document, rows_of
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer


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
    return _inspection("pretrain", place, step, rows_of(batch.rows(0, rows), place.tokenizer), counts, notes)


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
    found = _inspection(stage, place, step, rows_of(batch.rows(0, rows), place.tokenizer), counts, notes)
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


def _pairs(
    stage: Literal["reward", "dpo"], recipe: Recipe, place: Place, scratch: Path, step: int, rows: int
) -> Inspection:
    section: RewardSection | DpoSection = getattr(recipe, stage)
    notes = ["of both answers the tokens are trained, the one up and the other down"]
    if stage == "reward":
        notes = ["one number is learnt from each answer: that at its last token, which is marked as trained"]
    if section.sampled:
        notes.append(f"{section.sampled} questions will be answered by the model for more pairs; they are not shown")
        if not section.pairs and section.path == "python-docs":
            notes.append("without them there are none: some of those that python-docs has are shown instead")
        section = section.model_copy(update={"sampled": 0, "pairs": section.pairs or section.pairs_per_step})
    pairs = load_pairs(section, recipe.train.seed, place.tokenizer, place.context, scratch, _no_engine)
    notes += [pairs.note] if pairs.note else []
    in_step = min(section.pairs_per_step, len(pairs.train.pairs))
    batch = TaskBatches(PreferenceExamples(pairs.train), in_step, recipe.train.seed)[step]
    shown = []
    for number in range(min(rows, in_step)):
        documents = []
        for label, ids, length, start in zip(
            ("chosen", "rejected"), batch.inputs[number], batch.lengths[number], batch.starts[number], strict=True
        ):
            trained_from = int(length) - 1 if stage == "reward" else int(start)
            documents.append(document(place.tokenizer, ids[: int(length)].tolist(), trained_from, label))
        shown.append(Row(number, documents, 0))
    counts = {
        "training pairs": len(pairs.train.pairs),
        "validation pairs": len(pairs.validation.pairs),
        "test pairs": len(pairs.test.pairs),
        "pairs a step": in_step,
        "dropped": pairs.train.too_long,
    }
    return _inspection(stage, place, step, shown, counts, notes)


def _no_engine() -> NoReturn:
    raise AssertionError("nothing is sampled where rows are only shown")


def _prompts(
    stage: Literal["grpo", "ppo"], recipe: Recipe, place: Place, scratch: Path, step: int, rows: int
) -> Inspection:
    section: RlSection = getattr(recipe, stage)
    asked = read_questions(section.path, section.held_out, recipe.train.seed, stage)
    questions, note = fitting(asked, section, place.tokenizer, place.context)
    draws = section.settings.draws if isinstance(section, GrpoSection) else 1
    shown = []
    for number in range(min(rows, section.prompts)):
        question = questions.training[step * section.prompts * draws + number]
        ids = prompt(place.tokenizer, question.messages)
        label = "a prompt" if question.expected is None else f"a prompt; expected: {question.expected}"
        shown.append(Row(number, [document(place.tokenizer, ids, len(ids), label)], 0))
    notes = [
        f"the model answers each prompt {section.samples} times with at most {section.max_tokens} tokens, which are "
        "what is trained; the run's samples.jsonl keeps some of them"
    ]
    counts = {"prompts a step": section.prompts, "held-out prompts": len(questions.held_out)}
    return _inspection(stage, place, step, shown, counts, [*notes, *([note] if note else [])])


def _inspection(
    stage: str, place: Place, step: int, rows: list[Row], counts: dict[str, int], notes: list[str]
) -> Inspection:
    name = f"{place.tokenizer.kind}, {place.tokenizer.vocab_size} tokens"
    return Inspection(stage, name, place.context, step, rows, counts, [], [], notes)


STAGES: dict[str, Callable[[Recipe, Place, Path, int, int], Inspection]] = {
    "pretrain": _pretrain,
    "sft": _sft,
    "distill": _distill,
    "reward": partial(_pairs, "reward"),
    "dpo": partial(_pairs, "dpo"),
    "grpo": partial(_prompts, "grpo"),
    "ppo": partial(_prompts, "ppo"),
}
"""Stage -> what shows its rows."""
