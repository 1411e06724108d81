"""Measures of classification and of correlation, each with a 95% bootstrap interval over the examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from limpid.evaluation.bootstrap import Interval, resampled_interval

Array = npt.NDArray[np.float64]


def confusion(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    """(C, C) counts: row = true class, column = predicted class."""
    pairs = np.asarray(truth, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: npt.NDArray[np.int64]) -> float:
    """The share on the diagonal."""
    return float(np.trace(counts) / counts.sum())


def f1_scores(counts: npt.NDArray[np.int64]) -> Array:
    """(C,) 2 TP / (2 TP + FP + FN) of each class; 0 for a class that is neither there nor predicted."""
    right, total = np.diag(counts), counts.sum(0) + counts.sum(1)
    return np.divide(2.0 * right, total, out=np.zeros(len(counts)), where=total > 0)


def matthews(counts: npt.NDArray[np.int64]) -> float:
    """Matthews correlation, for any number of classes (Gorodkin 2004); 0 where truth or prediction is one class."""
    n, right = float(counts.sum()), float(np.trace(counts))
    true, predicted = counts.sum(1).astype(float), counts.sum(0).astype(float)
    spread = (n * n - (predicted**2).sum()) * (n * n - (true**2).sum())
    return float((right * n - true @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def pearson(x: Array, y: Array) -> float:
    """The linear correlation of (N,) and (N,); 0 where one of them does not vary."""
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0


def spearman(x: Array, y: Array) -> float:
    """Pearson correlation of the ranks; values that tie share their mean rank."""
    return pearson(ranks(x), ranks(y))


def ranks(values: Array) -> Array:
    """(N,) ranks from 1; ties share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return ((last - count + 1 + last) / 2)[place]


def class_measures(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> dict[str, Interval]:
    """Accuracy, F1 (of the second class where there are two, and the mean over classes) and Matthews correlation."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)

    def interval(measure: Callable[[npt.NDArray[np.int64]], float]) -> Interval:
        return resampled_interval(lambda t, p: measure(confusion(t, p, classes)), truth, predicted)

    measures = {"accuracy": interval(accuracy), "macro F1": interval(lambda counts: float(f1_scores(counts).mean()))}
    if classes == 2:
        measures["F1"] = interval(lambda counts: float(f1_scores(counts)[1]))
    return measures | {"Matthews": interval(matthews)}


def score_measures(truth: Array, predicted: Array) -> dict[str, Interval]:
    """Pearson and Spearman correlation."""
    return {
        "Pearson": resampled_interval(pearson, truth, predicted),
        "Spearman": resampled_interval(spearman, truth, predicted),
    }
