"""The honest baseline of every task: a linear model on words and pairs of words, weighted by tf-idf.

Logistic regression for classes and choices, ridge regression for scores, all by one L-BFGS; the strength of
regularisation is chosen on the validation split. It is our own, on torch's L-BFGS, so that no report lacks it for want
of a library; scikit-learn judges it in the tests, where both find the one optimum of the same convex problem.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.text.task_inputs import Form

C_VALUES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Weights of the data against the penalty, as scikit-learn's C."""

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|[^\w\s]+")  # a Chinese character is a word

Texts = Sequence[str]
"""What an example holds: a text; two; or a context and its choices."""


class Fitted(NamedTuple):
    """answers: (N, C) log-odds of classes, (N, S) scores of choices (-inf: not there), or (N, 1) numbers, of the test.
    c: the strength that was best in validation. features: how many n-grams there are."""

    answers: npt.NDArray[np.float64]
    c: float
    features: int


def ngrams(text: str) -> Counter[str]:
    """How often each word and each pair of neighbouring words is in a text, lower-cased."""
    words = _WORD.findall(text.lower())
    return Counter(words + [f"{a} {b}" for a, b in pairwise(words)])


def features(form: Form, texts: Texts) -> list[Counter[str]]:
    """The counts of each candidate answer: one for an example, or one for each of its choices.

    Of a pair, n-grams are told apart by side, and those in common count once more; of a similarity, by whether they
    are in common; of a choice, its own and those it has in common with the context.
    """
    if form == "single":
        return [ngrams(texts[0])]
    first, *others = map(ngrams, texts)
    found = []
    for other in others:
        common, either = first & other, first | other
        marked = Counter({f"= {gram}": n for gram, n in common.items()})
        if form == "similarity":
            marked.update({f"! {gram}": n for gram, n in (either - common).items()})
        else:
            marked.update({f"2 {gram}": n for gram, n in other.items()})
        if form == "pair":
            marked.update({f"1 {gram}": n for gram, n in first.items()})
        found.append(marked)
    return found


class TfIdf:
    """Counts -> unit vectors of ``count * (ln((1 + N) / (1 + documents with it)) + 1)``, over the training n-grams."""

    def __init__(self, documents: Sequence[Counter[str]]) -> None:
        seen = Counter(gram for counts in documents for gram in counts)
        self.index = {gram: i for i, gram in enumerate(sorted(seen))}
        self.idf = {gram: math.log((1 + len(documents)) / (1 + n)) + 1 for gram, n in seen.items()}

    def __call__(self, documents: Sequence[Counter[str]], extra: Sequence[float] | None = None) -> Tensor:
        """(N, F) sparse float64; ``extra`` is one more dense column."""
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []
        for row, counts in enumerate(documents):
            weights = {self.index[g]: n * self.idf[g] for g, n in counts.items() if g in self.index}
            norm = math.sqrt(sum(w * w for w in weights.values())) or 1.0
            if extra is not None:
                weights, norm = {i: w / norm for i, w in weights.items()} | {len(self.index): extra[row]}, 1.0
            rows += [row] * len(weights)
            columns += weights.keys()
            values += [w / norm for w in weights.values()]
        width = len(self.index) + (extra is not None)
        where = torch.tensor([rows, columns], dtype=torch.int64).reshape(2, -1)
        return torch.sparse_coo_tensor(
            where, torch.tensor(values, dtype=torch.float64), (len(documents), width), check_invariants=False
        ).coalesce()


class Design(NamedTuple):
    """The candidates of a split as rows of a matrix, and how many each example has."""

    matrix: Tensor
    counts: list[int]


def fit_baseline(
    form: Form,
    outputs: int,
    train: tuple[Sequence[Texts], npt.ArrayLike],
    validation: tuple[Sequence[Texts], npt.ArrayLike],
    test: Sequence[Texts],
) -> Fitted:
    """Fit on ``train``, choose the regularisation on ``validation``, answer ``test``.

    outputs: number of classes; 1 for a score. Labels are class or choice indices, or scores.
    """
    candidates = [features(form, texts) for texts in train[0]]
    tfidf = TfIdf([counts for found in candidates for counts in found])
    plain = None if form == "single" else TfIdf([ngrams(text) for texts in train[0] for text in texts])

    def design(examples: Sequence[Texts], found: list[list[Counter[str]]] | None = None) -> Design:
        found = found or [features(form, texts) for texts in examples]
        extra = None if plain is None else [c for texts in examples for c in _cosines(plain, texts)]
        return Design(tfidf([counts for each in found for counts in each], extra), [len(each) for each in found])

    fitted_on, held_out, asked = design(train[0], candidates), design(validation[0]), design(test)
    labels, truth = (torch.as_tensor(np.asarray(y, dtype=np.float64)) for y in (train[1], validation[1]))
    best: tuple[float, float, Tensor] | None = None
    weights: Tensor | None = None
    for c in C_VALUES:
        weights = fit_linear(form, outputs, fitted_on, labels, c, start=weights)
        quality = _quality(form, outputs, answers(form, weights, held_out), truth)
        if best is None or quality > best[0]:
            best = quality, c, weights
    assert best is not None
    return Fitted(answers(form, best[2], asked).numpy(), best[1], len(tfidf.index))


def fit_linear(
    form: Form, outputs: int, design: Design, labels: Tensor, c: float, *, start: Tensor | None = None
) -> Tensor:
    """(F + 1, C) weights, the intercept last, that minimise ``|w|^2 / 2 + c * (summed loss)``; the intercept is free.

    Two classes are one logistic output, more of them a softmax; a score has half the squared error as its loss.
    """
    columns = 1 if outputs <= 2 else outputs
    width = design.matrix.shape[1]
    weights = torch.zeros(width + 1, columns, dtype=torch.float64) if start is None else start.clone()
    weights.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=400, tolerance_grad=1e-6, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )
    scale = 1.0 / (c * len(labels))

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = _loss(form, outputs, answers(form, weights, design), labels) / len(labels)
        loss = loss + scale / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weights.detach()


def answers(form: Form, weights: Tensor, design: Design) -> Tensor:
    """(N, columns) linear scores, or (N, S) of choices, -inf where an example has fewer."""
    scores = torch.sparse.mm(design.matrix, weights[:-1]) + weights[-1]
    if form != "choice":
        return scores
    parts = scores.squeeze(1).split(design.counts)
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=-math.inf)


def predicted_classes(form: Form, found: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The class or choice that each row of answers names; a single column is the log-odds of class 1."""
    if form != "choice" and found.shape[1] == 1:
        return (found[:, 0] > 0).astype(np.int64)
    return found.argmax(1)


def _loss(form: Form, outputs: int, found: Tensor, labels: Tensor) -> Tensor:
    if form != "choice" and outputs == 1:
        return F.mse_loss(found[:, 0], labels, reduction="sum") / 2
    if form != "choice" and outputs == 2:
        return F.binary_cross_entropy_with_logits(found[:, 0], labels, reduction="sum")
    return F.cross_entropy(found, labels.long(), reduction="sum")


def _quality(form: Form, outputs: int, found: Tensor, truth: Tensor) -> float:
    """Accuracy, or for scores minus the summed squared error."""
    if form != "choice" and outputs == 1:
        return -float(F.mse_loss(found[:, 0], truth))
    return float(np.mean(predicted_classes(form, found.numpy()) == truth.numpy()))


def _cosines(tfidf: TfIdf, texts: Texts) -> list[float]:
    """Between the first text and each other one."""
    first, *others = tfidf([ngrams(text) for text in texts]).to_dense()
    return [float(first @ other) for other in others]
