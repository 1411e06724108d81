"""Answers of a task model: for many examples as an array, for a few texts as labels with probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from limpid.core.errors import LimpidError
from limpid.data.task_batches import TaskExamples, encode
from limpid.models.task import TaskConfig, TaskModel
from limpid.text.task_inputs import Form
from limpid.text.tokenizer import Tokenizer

Answers = npt.NDArray[np.float64]


class Prediction(NamedTuple):
    """label: the most probable class or the number of the choice (from 0); a score as text. probabilities: of each
    class or choice, in order; empty for a score, which stands in ``score``."""

    label: str
    probabilities: dict[str, float]
    score: float | None = None


@torch.no_grad()
def task_answers(model: TaskModel, examples: TaskExamples, *, dtype: torch.dtype, rows: int = 64) -> Answers:
    """(N, C) of `TaskOutput.answers`, in the order of the examples; choices that an example lacks are -inf.

    Examples of like length are computed together.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    lengths = [sum(map(len, sequences)) for sequences in examples.sequences]
    order = np.argsort(lengths, kind="stable")
    parts = []
    for at in range(0, len(order), rows):
        batch = examples.batch(order[at : at + rows].tolist()).to(device)
        parts.append(
            model(batch.inputs, batch.lengths, starts=batch.starts, dtype=dtype).answers.double().cpu().numpy()
        )
    model.train(was_training)
    width = max(part.shape[1] for part in parts)
    found = np.full((len(order), width), -np.inf)
    at = 0
    for part in parts:
        found[order[at : at + len(part)], : part.shape[1]] = part
        at += len(part)
    return found


def is_score(config: TaskConfig) -> bool:
    """Whether the answer is a number and no class."""
    return config.task != "choice" and config.outputs == 1


def scores(config: TaskConfig, answers: Answers) -> npt.NDArray[np.float64]:
    """(N, 1) answers in the units of the labels, (N,)."""
    return config.mean + config.deviation * answers[:, 0]


def probabilities(answers: Answers) -> Answers:
    """Softmax over the last dimension."""
    powers = np.exp(answers - answers.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


class Classifier:
    """A task model with its tokenizer."""

    def __init__(self, model: TaskModel, tokenizer: Tokenizer, dtype: torch.dtype) -> None:
        if model.config.task in ("value", "reward"):
            raise LimpidError(f"a {model.config.task} model grades text and names no class.")
        self.model, self.tokenizer, self.dtype = model, tokenizer, dtype

    @property
    def form(self) -> Form:
        return cast(Form, self.model.config.task)

    def predict(self, examples: Sequence[Sequence[str]]) -> list[Prediction]:
        """Each example's texts: one; two; or a context and its choices.

        Raises:
            LimpidError: an example with another number of texts than the task has.
        """
        wanted = {"single": 1, "pair": 2, "similarity": 2}.get(self.form)
        for texts in examples:
            if len(texts) != wanted and not (wanted is None and len(texts) > 2):
                needs = {1: "one text", 2: "two texts"}.get(wanted or 0, "a context and two choices or more")
                raise LimpidError(f"this classifier reads {needs} at a time, not {len(texts)}.")
        if not examples:
            return []
        config = self.model.config
        encoded = encode(examples, self.form, self.tokenizer, config.context)
        answers = task_answers(self.model, TaskExamples(encoded.sequences, [0.0] * len(examples)), dtype=self.dtype)
        if is_score(config):
            return [Prediction(f"{score:.3f}", {}, float(score)) for score in scores(config, answers)]
        found = []
        for texts, row in zip(examples, probabilities(answers), strict=True):
            names = config.labels or tuple(str(i) for i in range(len(texts) - 1))
            shares = {name: float(p) for name, p in zip(names, row, strict=False)}
            found.append(Prediction(max(shares, key=shares.__getitem__), shares))
        return found
