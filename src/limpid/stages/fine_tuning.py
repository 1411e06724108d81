"""What `sft` and `distill` have in common: conversations and text in one batch, and how the outcome is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch

from limpid.core.errors import LimpidError
from limpid.data import addition
from limpid.data.batches import Batches, MixedBatches, PackedBatches, TextBatches
from limpid.data.chat_files import conversations
from limpid.data.chat_layouts import Chat
from limpid.data.chat_rows import ChatRows, chat_rows
from limpid.data.document import Split
from limpid.data.token_store import TokenStore
from limpid.evaluation.answers import score_answers
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import test_split
from limpid.stages.questions import dialogues, five_answers, full_measures, quick_measures
from limpid.stages.recipe import Recipe, SftSection
from limpid.stages.training_run import Job, prepare_model
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.next_token import Objective
from limpid.training.optim import build_optimizers
from limpid.training.schedule import ScheduleSection, factor

EMBEDDED = "python-docs"
"""The conversations that limpid makes itself, whose answers it can grade."""


class Talks(NamedTuple):
    """The rows of each split; validation and test are None where nothing is held out (or is measured otherwise)."""

    train: ChatRows
    validation: ChatRows | None
    test: ChatRows | None


def chats_of(section: SftSection, seed: int) -> dict[Split, Iterable[Chat]]:
    """The conversations that ``section.path`` means, by split."""
    if section.path == EMBEDDED:
        stream = dialogues(seed)
        made = (stream.training(i).messages for i in range(section.conversations))
        train = (Chat([*map(dict, messages)], [], f"{EMBEDDED} {i}") for i, messages in enumerate(made))
        return {"train": train, "validation": (), "test": ()}
    if section.path == "addition":
        held_out = [
            Chat([*map(dict, addition.conversation(*pair))], [], "addition") for pair in addition.sums(held_out=True)
        ]
        shown = (
            Chat([*map(dict, messages)], [], "addition") for messages in addition.conversations(section.conversations)
        )
        return {"train": shown, "validation": held_out, "test": held_out}
    return conversations(section.path)


def talks_of(
    section: SftSection, chats: dict[Split, Iterable[Chat]], tokenizer: Tokenizer, context: int
) -> tuple[Talks, str]:
    """Rows of all splits, and what the user should know of them."""
    rows = {split: chat_rows(those, tokenizer, context, section.too_long) for split, those in chats.items()}
    held = {split: these if len(these.batch.inputs) else None for split, these in rows.items()}
    notes = [rows["train"].note(context)]
    if not len(rows["train"].batch.inputs):
        why = notes[0] or "all conversations are held out; bring more"
        raise LimpidError(f"{section.path} leaves nothing to learn from: {why}.")
    if held["validation"] is None and section.path != EMBEDDED:
        notes.append(
            f"no conversation is held out ({section.path} has too few, or they do not fit): answers go unmeasured"
        )
    return Talks(rows["train"], held["validation"], held["test"]), "; ".join(note for note in notes if note)


def fine_tuning_batches(
    section: SftSection, talks: Talks | None, text: TokenStore, context: int, seed: int
) -> MixedBatches:
    """Rows of conversations and, ``section.text_share`` of them, of text; both in an order drawn from ``seed``."""
    rows = max(2, section.tokens_per_step // context)
    text_rows = rows if talks is None else round(rows * section.text_share)
    sources: list[Batches] = []
    if talks is not None and rows > text_rows:
        sources.append(PackedBatches(talks.train.batch, rows - text_rows, seed))
    if text_rows:
        sources.append(TextBatches(text, context, text_rows, seed + 1))
    return MixedBatches(sources)


def fine_tuning_job(
    recipe: Recipe,
    section: SftSection,
    world: World,
    *,
    model: Decoder,
    tokenizer: Tokenizer,
    stores: dict[Split, TokenStore],
    talks: Talks | None,
    objective: Callable[[torch.dtype], Objective],
    fresh: bool = False,
    extra: Callable[[], Mapping[str, float]] = dict,
    note: str = "",
) -> Job:
    """The job of training ``model`` on ``talks`` (None: on text alone), by ``objective`` of the compute dtype.

    fresh: the model has learnt nothing yet. extra: more numbers for a step's line in the metrics.

    What is measured: bits per byte of the text; of the answers that were held out; where the conversations are
    limpid's own, how many answers are right.
    """
    config = model.config
    model, _ = prepare_model(model, recipe, world, section.steps, fresh=fresh)
    dtype = compute_dtype(recipe.train.dtype, world.device)
    seed = recipe.train.seed
    embedded = talks is not None and section.path == EMBEDDED
    validation = None if talks is None else talks.validation
    answering = Engine(inference_copy(model, dtype))

    def current() -> Engine:
        answering.refresh(model)
        return answering

    def measure() -> dict[str, float]:
        score = score_text(model, stores["validation"], dtype=dtype, tokens=recipe.eval.tokens)
        values = {"validation_bits_per_byte": score.bits_per_byte.value}
        if validation is not None:
            found = score_answers(model, tokenizer, validation.batch, dtype=dtype, tokens=recipe.eval.tokens)
            values["answers_bits_per_byte"] = found.value
        if embedded:
            values |= quick_measures(current, tokenizer, seed)
        return values

    def conclude() -> dict[str, Any]:
        name, test = test_split(stores)
        score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
        measures: dict[str, Any] = {name: score.bits_per_byte._asdict()}
        if talks is not None and talks.test is not None:
            found = score_answers(model, tokenizer, talks.test.batch, dtype=dtype)
            measures["test answers: bits per byte"] = found._asdict()
        if not embedded:
            return {"measures": measures}
        measures |= full_measures(current(), tokenizer, seed, recipe.eval.questions)
        return {"measures": measures, "answers": five_answers(answering, tokenizer, seed)}

    decay = {} if section.weight_decay is None else {"weight_decay": section.weight_decay}
    optim = recipe.optim.model_copy(update=decay)
    schedule = factor(ScheduleSection(warmup_steps=section.warmup_steps, decay=section.decay), section.steps)
    judged = "validation_bits_per_byte" if validation is None else "answers_bits_per_byte"
    return Job(
        model=model,
        tokenizer=tokenizer,
        objective=objective(dtype),
        batches=fine_tuning_batches(section, talks, stores["train"], config.context, seed),
        optimizers=build_optimizers(model, optim, config.d_model, dtype),
        steps=section.steps,
        schedule=lambda step: section.lr_factor * schedule(step),
        micro_rows=max(1, recipe.train.micro_tokens // config.context),
        measure=measure,
        lower_is_better="wrong" if embedded else judged,
        sample=None,
        extra=extra,
        conclude=conclude,
        note=note,
    )
