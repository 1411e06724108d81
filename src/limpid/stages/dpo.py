"""From pairs of answers straight to a better policy, without a reward model: DPO, IPO, KTO or ORPO."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.data.batches import TextBatches
from limpid.data.preference_batches import PreferenceBatches, PreferenceExamples
from limpid.evaluation.bits_per_byte import score_text
from limpid.evaluation.preferences import Floats, accuracy, ordered
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.registry import with_dropout
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import stores_of_line, test_split
from limpid.stages.events import Event
from limpid.stages.pairs import LOOKS, first, load_pairs
from limpid.stages.preference_recipe import DpoSection
from limpid.stages.questions import five_answers, full_measures, quick_measures
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.training.objectives.preference import PreferenceLoss, read_answers
from limpid.training.optim import OptimSection, build_optimizers


def dpo(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Teach the chat model at ``source`` to prefer the better answers of the recipe's pairs, in ``out``.

    The model at ``source`` stays as the frozen reference; its dropout is off, so that both give log-probabilities of
    the same kind.
    """
    settings = recipe.dpo
    if settings.smoothing and settings.loss != "dpo":
        raise LimpidError(f"dpo.smoothing belongs to dpo.loss = dpo, not {settings.loss}; leave it out.")

    def prepare(folder: Path) -> Job:
        checkpoint = store.read(source)
        tokenizer, config, seed = checkpoint.tokenizer, checkpoint.config, recipe.train.seed
        dtype = compute_dtype(recipe.train.dtype, world.device)
        reference = inference_copy(checkpoint.model.to(world.device), dtype)
        # Batches differ in length, and a compiled block would be compiled anew for each.
        eager = recipe.model_copy(update={"train": recipe.train.model_copy(update={"compile": False})})
        model, _ = prepare_model(with_dropout(checkpoint.model.cpu(), 0.0), eager, world, 0)
        answering = Engine(inference_copy(model, dtype))
        pairs = load_pairs(settings, seed, tokenizer, config.context, folder, lambda: answering)
        stores = stores_of_line(recipe, tokenizer, folder / "tokens", checkpoint.path, world)
        examples = PreferenceExamples(pairs.train, unrelated=settings.loss == "kto")
        rows = min(settings.pairs_per_step, len(examples))
        steps = max(1, math.ceil(settings.epochs * len(examples) / rows))
        places = (
            2 * sum(len(answer.ids) for answer in (*pairs.train.chosen, *pairs.train.rejected)) // (2 * len(examples))
        )
        text_rows = _text_rows(settings, rows * places, config.context)
        text = TextBatches(stores["train"], config.context, text_rows, seed + 1) if text_rows else None
        looked_at = PreferenceExamples(first(pairs.validation, LOOKS))
        tested = PreferenceExamples(pairs.test)
        embedded = settings.path == "python-docs"
        objective = PreferenceLoss(
            dtype,
            None if settings.loss == "orpo" else reference,
            settings.loss,
            settings.beta,
            settings.smoothing,
            settings.imitation,
        )

        def current() -> Engine:
            answering.refresh(model)
            return answering

        def measure() -> dict[str, float]:
            found = margins(model, reference, looked_at, dtype)
            score = score_text(model, stores["validation"], dtype=dtype, tokens=recipe.eval.tokens)
            values = {
                "validation_accuracy": float(ordered(found).mean()),
                "validation_margin": float(settings.beta * found.mean()),
                "validation_bits_per_byte": score.bits_per_byte.value,
            }
            return values | (quick_measures(current, tokenizer, seed) if embedded else {})

        def conclude() -> dict[str, Any]:
            name, test = test_split(stores)
            score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
            measures: dict[str, Any] = {name: score.bits_per_byte._asdict()}
            found = margins(model, reference, tested, dtype)
            measures["implicit reward accuracy"] = accuracy(found)._asdict()
            if not embedded:
                return {"measures": measures}
            measures |= full_measures(current(), tokenizer, seed, recipe.eval.questions)
            return {"measures": measures, "answers": five_answers(answering, tokenizer, seed)}

        warmup = max(1, round(settings.warmup * steps))
        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=objective,
            batches=PreferenceBatches(examples, rows, seed, text, settings.text_weight),
            optimizers=build_optimizers(model, OptimSection(kind="adamw", lr=settings.lr), config.d_model, dtype),
            steps=steps,
            schedule=lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup)),
            micro_rows=lambda batch: max(
                1, recipe.train.micro_tokens // (batch.inputs.shape[1] * batch.inputs.shape[2])
            ),
            measure=measure,
            lower_is_better="wrong" if embedded else "validation_bits_per_byte",
            sample=None,
            extra=lambda: objective.measured(world.sum),
            conclude=conclude,
            note=pairs.note,
            length=places // 2,
        )

    yield from train_stage("dpo", recipe, out, world, resume=resume, prepare=prepare)


def _text_rows(settings: DpoSection, places: int, context: int) -> int:
    """Rows of text that make ``text_share`` of a step's positions, at least one where any is asked for."""
    share = settings.text_share
    return max(1, round(places * share / (1 - share) / context)) if share else 0


@torch.no_grad()
def margins(
    model: Decoder, reference: Decoder, examples: PreferenceExamples, dtype: torch.dtype, rows: int = 32
) -> Floats:
    """(N,) implicit rewards of the better answers less those of the worse ones, over beta: h(better) - h(worse)."""
    model.eval()
    device = model.embedding.weight.device
    lengths = [max(map(len, sequences)) for sequences in examples.sequences]
    order = np.argsort(lengths, kind="stable")
    found = np.empty(len(order))
    for at in range(0, len(order), rows):
        picked = order[at : at + rows]
        answers = read_answers(model, reference, examples.batch(picked.tolist()).to(device), dtype)
        h = answers.sums - answers.reference
        found[picked] = (h[:, 0] - h[:, 1]).double().cpu().numpy()
    return found
