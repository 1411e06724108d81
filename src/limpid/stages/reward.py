"""The reward model: from a model that answers to one that says which of two answers is better (Ouyang et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limpid.checkpoint import store
from limpid.data.preference_batches import EncodedPreferences
from limpid.data.preferences import Preference
from limpid.data.task_batches import TaskBatches
from limpid.evaluation.bootstrap import mean_interval, resampled_interval
from limpid.evaluation.preferences import Floats, accuracy, calibration, length_margins, ordered, word_margins
from limpid.inference.classifier import task_answers
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.models.adapt import with_head
from limpid.models.registry import with_dropout
from limpid.models.task import TaskConfig, TaskModel
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.events import Event
from limpid.stages.pairs import LOOKS, first, kinds_of, load_pairs
from limpid.stages.recipe import Recipe
from limpid.stages.reward_report import write_report
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.training.objectives.bradley_terry import BradleyTerry
from limpid.training.optim import build_optimizers


def reward(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Train the decoder at ``source``, under a new head, to give better answers larger numbers, in ``out``.

    The number is read at the end of the answer's turn. At the end the held-out pairs are measured, once.
    """
    section = recipe.reward

    def prepare(folder: Path) -> Job:
        checkpoint = store.read(source)
        tokenizer, seed = checkpoint.tokenizer, recipe.train.seed
        dtype = compute_dtype(recipe.train.dtype, world.device)
        pairs = load_pairs(
            section,
            seed,
            tokenizer,
            checkpoint.config.context,
            folder,
            lambda: Engine(inference_copy(checkpoint.model.to(world.device), dtype)),
        )
        backbone = with_dropout(checkpoint.model.cpu(), section.dropout)
        config = TaskConfig(backbone=backbone.config, task="reward", likelihood=section.likelihood)
        rows = min(section.pairs_per_step, len(pairs.train.pairs))
        steps = max(1, math.ceil(section.epochs * len(pairs.train.pairs) / rows))
        # Batches differ in length, and a compiled block would be compiled anew for each.
        eager = recipe.model_copy(update={"train": recipe.train.model_copy(update={"compile": False})})
        model, _ = prepare_model(with_head(backbone, config, seed), eager, world, steps)
        looked_at = first(pairs.validation, LOOKS)
        examples = pairs.train.examples

        def measure() -> dict[str, float]:
            found = margins(model, looked_at, dtype)
            loss = float(np.logaddexp(0, -found).mean())
            return {"validation_loss": loss, "validation_accuracy": float(ordered(found).mean())}

        def conclude() -> dict[str, Any]:
            splits = (pairs.train.pairs, pairs.validation.pairs) if section.baselines else None
            conclusion = final_measures(margins(model, pairs.test, dtype), pairs.test.pairs, splits)
            if world.leads:
                write_report(folder, section, {"steps": steps, "train_pairs": len(examples)} | conclusion)
            return conclusion

        warmup = max(1, round(section.warmup * steps))
        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=BradleyTerry(dtype, section.centring),
            batches=TaskBatches(examples, rows, seed),
            optimizers=build_optimizers(model, recipe.optim, backbone.config.d_model, dtype),
            steps=steps,
            schedule=lambda step: section.lr_factor * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup)),
            micro_rows=lambda batch: max(1, recipe.train.micro_tokens // (2 * batch.inputs.shape[2])),
            measure=measure,
            lower_is_better="validation_loss",
            sample=None,
            extra=dict,
            conclude=conclude,
            note=pairs.note,
            length=sum(len(ids) for both in examples.sequences for ids in both) // (2 * len(examples)),
        )

    yield from train_stage("reward", recipe, out, world, resume=resume, prepare=prepare)


def margins(model: TaskModel, pairs: EncodedPreferences, dtype: torch.dtype) -> Floats:
    """(N,) rewards of the better answers less those of the worse ones."""
    answers = task_answers(model, pairs.examples, dtype=dtype)
    return np.asarray(model.config.deviation * (answers[:, 0] - answers[:, 1]))


def final_measures(
    found: Floats, pairs: list[Preference], splits: tuple[list[Preference], list[Preference]] | None
) -> dict[str, Any]:
    """Accuracy over all pairs and by kind, calibration, and by how much the baselines fitted to ``splits`` are beaten.

    Pairs of kind ``held_out`` ask for facts that no training pair and no conversation held; they are measured apart.
    """
    kinds = np.array(kinds_of(pairs))
    counted = kinds != "held_out"
    if not counted.any():
        counted[:] = True
    measures: dict[str, Any] = {"accuracy": accuracy(found[counted])._asdict()}
    for kind in dict.fromkeys(kinds.tolist()):
        measures[f"accuracy: {kind}"] = accuracy(found[kinds == kind])._asdict()
    sure = calibration(found[counted])
    error = resampled_interval(lambda m: calibration(m).error, found[counted])
    measures["calibration error"] = error._asdict()
    manners = {pair.kind for pair in pairs if ":" in pair.kind}
    conclusion: dict[str, Any] = {
        "test_pairs": len(pairs),
        "measures": measures,
        "reliability": [row._asdict() for row in sure.table],
        "manners": {
            manner: accuracy(found[[pair.kind == manner for pair in pairs]])._asdict() for manner in sorted(manners)
        },
    }
    if splits is not None:
        rivals = {
            "length alone": length_margins(splits[0], pairs),
            "a linear model on 1-2-grams": word_margins(*splits, pairs),
        }
        conclusion["baselines"] = {name: accuracy(rival[counted])._asdict() for name, rival in rivals.items()}
        for name, rival in rivals.items():
            gain = ordered(found[counted]) - ordered(rival[counted])
            measures[f"accuracy above {name}"] = mean_interval(gain)._asdict()
    return conclusion
