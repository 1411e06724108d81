"""How well rewards order pairs of answers, how sure they are of it, and what is known from length and words alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.data.preferences import Preference
from limpid.evaluation.bootstrap import Interval, mean_interval
from limpid.evaluation.ngram_baseline import fit_baseline

Floats = npt.NDArray[np.float64]


class Bin(NamedTuple):
    """Pairs whose confidence lies in [low, high): how many, their mean confidence, and how often the order is right."""

    low: float
    high: float
    pairs: int
    confidence: float
    accuracy: float


class Calibration(NamedTuple):
    """error: the expected calibration error (Naeini et al. 2015): |confidence - accuracy|, a mean over pairs."""

    error: float
    table: list[Bin]


def ordered(margins: npt.ArrayLike) -> Floats:
    """(N,) rewards of the better answers less those of the worse -> 1 where the order is right, 1/2 for a tie."""
    found = np.asarray(margins, dtype=float)
    return (found > 0) + 0.5 * (found == 0)


def accuracy(margins: npt.ArrayLike) -> Interval:
    """The share of pairs that are ordered right."""
    return mean_interval(ordered(margins))


def calibration(margins: npt.ArrayLike, bins: int = 10) -> Calibration:
    """Confidence is the probability that Bradley-Terry gives to the order it finds, ``sigmoid(|margin|)``, from 1/2."""
    found = np.asarray(margins, dtype=float)
    confidence, right = 1 / (1 + np.exp(-np.abs(found))), ordered(found)
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    table = []
    for number in range(bins):
        chosen = place == number
        if chosen.any():
            low, high = 0.5 + number / (2 * bins), 0.5 + (number + 1) / (2 * bins)
            means = float(confidence[chosen].mean()), float(right[chosen].mean())
            table.append(Bin(low, high, int(chosen.sum()), *means))
    error = sum(b.pairs * abs(b.confidence - b.accuracy) for b in table) / len(found)
    return Calibration(error, table)


def length_margins(train: Sequence[Preference], asked: Sequence[Preference]) -> Floats:
    """Longer (or shorter, whichever is oftener so in training) is better: the baseline that every rater invites."""
    sign = np.sign(np.sign(_longer(train)).sum()) or 1.0
    return sign * _longer(asked)


def word_margins(train: Sequence[Preference], validation: Sequence[Preference], asked: Sequence[Preference]) -> Floats:
    """A linear model on words and pairs of words of the answers, and on those they share with the prompt."""

    def texts(pairs: Sequence[Preference]) -> list[tuple[str, str, str]]:
        return [("\n".join(m["content"] for m in pair.prompt), pair.chosen, pair.rejected) for pair in pairs]

    fitted = fit_baseline(
        "choice",
        1,
        (texts(train), np.zeros(len(train))),  # the first of two choices, of which each is scored by itself
        (texts(validation), np.zeros(len(validation))),
        texts(asked),
    )
    return fitted.answers[:, 0] - fitted.answers[:, 1]


def _longer(pairs: Sequence[Preference]) -> Floats:
    return np.array([float(len(pair.chosen) - len(pair.rejected)) for pair in pairs])
