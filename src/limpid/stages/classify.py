"""A pretrained model becomes one that sorts, compares, chooses or scores texts (Radford et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from limpid.checkpoint import store
from limpid.checkpoint.shards import read_shards
from limpid.core.errors import LimpidError
from limpid.data.document import Split
from limpid.data.task_batches import TaskBatches, TaskExamples, WordDropout, encode
from limpid.data.tasks import Columns, Example, Labels, task_splits
from limpid.evaluation.bootstrap import Interval, resampled_interval
from limpid.evaluation.ngram_baseline import Fitted, fit_baseline, predicted_classes
from limpid.evaluation.task_metrics import (
    Array,
    class_measures,
    confusion,
    score_measures,
    spearman,
)
from limpid.inference.classifier import Classifier, is_score, scores, task_answers
from limpid.models.adapt import adapted, with_head
from limpid.models.task import TaskConfig, TaskModel
from limpid.parallel.environment import World, pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory
from limpid.stages.classify_report import write_report
from limpid.stages.events import Event
from limpid.stages.load import weights_of
from limpid.stages.recipe import ClassifySection, Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.text.task_inputs import task_tokens, with_task_tokens
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.task import TaskLoss, summed_task_loss
from limpid.training.optim import build_optimizers


class Task(NamedTuple):
    """The examples of a task, and what its head must answer. labels: of each split, as numbers."""

    splits: dict[Split, list[Example]]
    labels: dict[Split, Array]
    names: tuple[str, ...]
    outputs: int
    mean: float
    deviation: float


def classify(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Train the model at ``source`` on the recipe's labelled texts, in ``out``.

    A checkpoint is kept of every look at the validation split; the one with the fewest errors there is what the test
    is measured on, once, beside a linear model on n-grams.
    """
    section = recipe.classify
    recipe = recipe.model_copy(update={"checkpoint": recipe.checkpoint.model_copy(update={"every": recipe.eval.every})})

    def prepare(folder: Path) -> Job:
        task = load_task(section)
        checkpoint = store.read(source)
        tokenizer = with_task_tokens(checkpoint.tokenizer)
        seed = recipe.train.seed
        backbone = adapted(checkpoint.model, tokenizer.vocab_size, section.dropout, seed)
        config = TaskConfig(
            backbone=backbone.config, task=section.form, outputs=task.outputs, labels=task.names, mean=task.mean,
            deviation=task.deviation, pooling=section.pooling, dropout=section.head_dropout,
        )  # fmt: skip
        examples, cut = _encode(task, section, tokenizer, config.context)
        rows = min(section.examples_per_step, len(task.splits["train"]))
        steps = max(1, math.ceil(section.epochs * len(task.splits["train"]) / rows))
        # Batches differ in length, and a compiled block would be compiled anew for each.
        eager = recipe.model_copy(update={"train": recipe.train.model_copy(update={"compile": False})})
        model, _ = prepare_model(with_head(backbone, config, seed), eager, world, steps)
        dtype = compute_dtype(recipe.train.dtype, world.device)

        def measure() -> dict[str, float]:
            return validation_measures(model, examples["validation"], dtype)

        def conclude() -> dict[str, Any]:
            best = store.state_of(store.find(folder))["best"]["step"]
            path = store.checkpoint_path(folder, best)
            store.load_tensors(model, read_shards(path, "model"), str(path))
            conclusion = final_measures(model, task, section, examples["test"], dtype)
            if world.leads:
                write_report(folder, recipe.classify, {"step": best, "steps": steps} | conclusion)
            return conclusion

        warmup = max(1, round(section.warmup * steps))
        longest = max(len(sequence) for sequences in examples["train"].sequences for sequence in sequences)
        batches = TaskBatches(examples["train"], rows, seed)
        thinned = WordDropout(batches, section.word_dropout, task_tokens(tokenizer), seed)
        per_example = max(len(sequences) for sequences in examples["train"].sequences) * longest
        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=TaskLoss(dtype, section.lm_weight),
            batches=thinned if section.word_dropout else batches,
            optimizers=build_optimizers(model, recipe.optim, config.backbone.d_model, dtype),
            steps=steps,
            schedule=lambda step: section.lr_factor * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup)),
            micro_rows=max(1, recipe.train.micro_tokens // per_example),
            measure=measure,
            lower_is_better="validation_error",
            sample=None,
            extra=dict,
            conclude=conclude,
            note=f"{cut} examples are longer than model.context = {config.context}: their ends are cut" if cut else "",
        )

    yield from train_stage("classify", recipe, out, world, resume=resume, prepare=prepare)


def load_task(section: ClassifySection) -> Task:
    """Read the examples and turn their labels into numbers; see `task_splits` and `Labels` for what is refused."""
    columns = Columns(
        section.form, section.text, section.second, section.choices, section.label, section.target == "score"
    )
    splits = task_splits(section.path, columns)
    names: tuple[str, ...] = ()
    outputs, mean, deviation = 1, 0.0, 1.0
    if section.form == "choice" or columns.scores:
        labels = {split: np.array([float(e.label) for e in found]) for split, found in splits.items()}
    else:
        known = Labels.of(splits["train"])
        labels = {split: np.array([float(known.index(e)) for e in found]) for split, found in splits.items()}
        names, outputs = known.names, len(known.names)
    if columns.scores:
        mean, deviation = float(labels["train"].mean()), float(labels["train"].std())
        if not deviation:
            raise LimpidError(f"all training examples of {section.path} have the score {mean:g}: nothing to learn.")
    return Task(splits, labels, names, outputs, mean, deviation)


def validation_measures(model: TaskModel, examples: TaskExamples, dtype: torch.dtype) -> dict[str, float]:
    """Loss and accuracy (or Spearman correlation) of held-out examples, and how much it lacks to 1: the error."""
    answers = task_answers(model, examples, dtype=dtype)
    loss = summed_task_loss(model.config, torch.from_numpy(answers).float(), torch.from_numpy(examples.labels))
    measured = {"validation_loss": float(loss) / len(examples)}
    if is_score(model.config):
        quality = spearman(answers[:, 0], examples.labels.astype(np.float64))
        return measured | {"validation_spearman": quality, "validation_error": 1 - quality}
    quality = float(np.mean(answers.argmax(1) == examples.labels))
    return measured | {"validation_accuracy": quality, "validation_error": 1 - quality}


def final_measures(
    model: TaskModel, task: Task, section: ClassifySection, examples: TaskExamples, dtype: torch.dtype
) -> dict[str, Any]:
    """The test's measures, those of the baseline, and by how much the model is above it, on the same examples."""
    config, truth = model.config, task.labels["test"]
    answers = task_answers(model, examples, dtype=dtype)
    fitted = _baseline(section, task) if section.baseline else None
    found: dict[str, Any] = {"labels": list(task.names), "test_examples": len(truth)}
    measures: dict[str, Interval]
    if is_score(config):
        measures = score_measures(truth, scores(config, answers))
        rival = None if fitted is None else score_measures(truth, fitted.answers[:, 0])
    else:
        predicted = answers.argmax(1)
        classes = max(task.outputs, answers.shape[1])
        measures = class_measures(truth, predicted, classes)
        if section.form != "choice":
            found["confusion"] = confusion(truth, predicted, classes).tolist()
        rival = None
        if fitted is not None:
            theirs = predicted_classes(section.form, fitted.answers)
            rival = class_measures(truth, theirs, classes)
            gain = (predicted == truth).astype(float) - (theirs == truth)
            measures["accuracy above the baseline"] = resampled_interval(lambda d: float(d.mean()), gain)
    found["measures"] = {f"test {name}": interval._asdict() for name, interval in measures.items()}
    if fitted is not None and rival is not None:
        found["baseline"] = {
            "name": "linear model on 1-2-grams, tf-idf",
            "c": fitted.c,
            "features": fitted.features,
            "measures": {f"test {name}": interval._asdict() for name, interval in rival.items()},
        }
    return found


def load_classifier(run: Path, *, device: str = "auto", dtype: str = "auto") -> Classifier:
    """The classifier that a run made: of its checkpoints the best one where the run is finished, else the newest."""
    keep_memory()
    where = torch.device(pick_device(device))
    checkpoint = store.read(weights_of(run), TaskModel)
    return Classifier(checkpoint.model.to(where).eval(), checkpoint.tokenizer, compute_dtype(dtype, where))


def _encode(
    task: Task, section: ClassifySection, tokenizer: Tokenizer, context: int
) -> tuple[dict[Split, TaskExamples], int]:
    examples: dict[Split, TaskExamples] = {}
    cut = 0
    for split, found in task.splits.items():
        encoded = encode(_texts(found), section.form, tokenizer, context)
        examples[split] = TaskExamples(encoded.sequences, task.labels[split].tolist())
        cut += encoded.cut
    return examples, cut


def _baseline(section: ClassifySection, task: Task) -> Fitted:
    splits, labels = task.splits, task.labels
    return fit_baseline(
        section.form,
        task.outputs,
        (_texts(splits["train"]), labels["train"]),
        (_texts(splits["validation"]), labels["validation"]),
        _texts(splits["test"]),
    )


def _texts(examples: Sequence[Example]) -> list[tuple[str, ...]]:
    return [example.texts for example in examples]
