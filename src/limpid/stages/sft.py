"""Supervised fine-tuning: from a model that continues text to one that answers, by imitating right answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.data import addition
from limpid.data.batches import Batch, Batches, MixedBatches, PackedBatches, TextBatches
from limpid.data.chat_files import read_conversations
from limpid.data.packing import pack
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.models.registry import DecoderConfig, with_dropout
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import stores_of_line, test_split
from limpid.stages.events import Event
from limpid.stages.questions import dialogues, five_answers, full_measures, quick_measures
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.text.chat import Message, render
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.next_token import NextToken
from limpid.training.optim import build_optimizers
from limpid.training.schedule import ScheduleSection, factor


def sft(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Fine-tune the model at ``source`` on the recipe's conversations, in ``out``.

    The loss counts assistant tokens only, the end of each turn included. A share of pretraining text in every batch
    keeps what pretraining taught.
    """

    def prepare(folder: Path) -> Job:
        checkpoint = store.read(source)
        tokenizer, config = checkpoint.tokenizer, checkpoint.config
        model = with_dropout(checkpoint.model, recipe.sft.dropout)
        model, _ = prepare_model(model, recipe, world, recipe.sft.steps)
        dtype = compute_dtype(recipe.train.dtype, world.device)
        stores = stores_of_line(recipe, tokenizer, folder / "tokens", checkpoint.path, world)
        rows = max(2, recipe.sft.tokens_per_step // config.context)
        text_rows = round(rows * recipe.sft.text_share)
        packed, notes = _packed(recipe, tokenizer, config)
        sources: list[Batches] = [PackedBatches(packed, rows - text_rows, recipe.train.seed)]
        if text_rows:
            sources.append(TextBatches(stores["train"], config.context, text_rows, recipe.train.seed + 1))
        answering = Engine(inference_copy(model, dtype))
        embedded = recipe.sft.path == "python-docs"

        def current() -> Engine:
            answering.refresh(model)
            return answering

        def measure() -> dict[str, float]:
            score = score_text(model, stores["validation"], dtype=dtype, tokens=recipe.eval.tokens)
            values = {"validation_bits_per_byte": score.bits_per_byte.value}
            if embedded:
                values |= quick_measures(current, tokenizer, recipe.train.seed)
            return values

        def conclude() -> dict[str, Any]:
            name, test = test_split(stores)
            score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
            measures: dict[str, Any] = {name: score.bits_per_byte._asdict()}
            if not embedded:
                return {"measures": measures}
            measures |= full_measures(current(), tokenizer, recipe.train.seed, recipe.eval.questions)
            return {"measures": measures, "answers": five_answers(answering, tokenizer, recipe.train.seed)}

        optim = build_optimizers(model, recipe.optim, config.d_model, dtype)
        schedule = factor(
            ScheduleSection(warmup_steps=recipe.sft.warmup_steps, decay=recipe.sft.decay), recipe.sft.steps
        )
        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=NextToken(dtype, recipe.optim.z_loss),
            batches=MixedBatches(sources),
            optimizers=optim,
            steps=recipe.sft.steps,
            schedule=lambda step: recipe.sft.lr_factor * schedule(step),
            micro_rows=max(1, recipe.train.micro_tokens // config.context),
            measure=measure,
            lower_is_better="wrong" if embedded else "validation_bits_per_byte",
            sample=None,
            extra=dict,
            conclude=conclude,
            note=notes,
        )

    yield from train_stage("sft", recipe, out, world, resume=resume, prepare=prepare)


def _packed(recipe: Recipe, tokenizer: Tokenizer, config: DecoderConfig) -> tuple[Batch, str]:
    """All conversations in rows, and what the user should know of those left out."""
    conversations: Sequence[Sequence[Message]]
    if recipe.sft.path == "python-docs":
        stream = dialogues(recipe.train.seed)
        conversations = [stream.training(i).messages for i in range(recipe.sft.conversations)]
    elif recipe.sft.path == "addition":
        conversations = addition.conversations(recipe.sft.conversations)
    else:
        conversations = list(read_conversations(recipe.sft.path))
    packed = pack((render(tokenizer, c) for c in conversations), config.context, tokenizer.end_of_text)
    if not len(packed.batch.inputs):
        raise LimpidError(
            f"none of the {len(conversations)} conversations of {recipe.sft.path} "
            f"fits model.context = {config.context}."
        )
    left_out = f"{packed.too_long} of {len(conversations)} conversations are longer than model.context: left out"
    return packed.batch, left_out if packed.too_long else ""
