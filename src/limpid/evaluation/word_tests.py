"""Published tests of word vectors: analogies (accuracy) and similarity (rank correlation), each with its coverage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.core.paths import describe_os_error
from limpid.evaluation.bootstrap import Interval, mean_interval

Floats = npt.NDArray[np.float32]
RESAMPLES = 1000


class Analogy(NamedTuple):
    """``b`` is to ``a`` as ``d`` is to ``c``."""

    section: str
    a: str
    b: str
    c: str
    d: str


class Pair(NamedTuple):
    """Two words and how alike people found them."""

    one: str
    other: str
    score: float


class WordScore(NamedTuple):
    """value: accuracy or Spearman's rho with its 95% interval; None: fewer than two questions could be asked.

    asked: questions whose words are all known; total: of all there are.
    """

    value: Interval | None
    asked: int
    total: int


def read_analogies(path: Path) -> list[Analogy]:
    """The form of questions-words: four words a line, ``: name`` before each section."""
    found: list[Analogy] = []
    section = ""
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4:
            found.append(Analogy(section, *words))
        elif words:
            raise LimpidError(f"{path}:{number} is no analogy: four words, or ': section'.")
    if not found:
        raise LimpidError(f"{path} holds no analogies.")
    return found


def read_pairs(path: Path) -> list[Pair]:
    """Tab-separated: two words and a number; a first line without a number is a heading."""
    found: list[Pair] = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split("\t")
        try:
            found.append(Pair(fields[0], fields[1], float(fields[2])))
        except (IndexError, ValueError):
            if number > 1 and line.strip():
                raise LimpidError(f"{path}:{number} is no pair: two words and a number, with tabs between.") from None
    if not found:
        raise LimpidError(f"{path} holds no pairs of words.")
    return found


def score_analogies(questions: Sequence[Analogy], words: Sequence[str], unit: Floats) -> WordScore:
    """The share of analogies whose first answer by 3CosAdd is right, of those whose four words are in ``words``."""
    right = right_answers(questions, words, unit)
    return WordScore(mean_interval(right) if len(right) > 1 else None, len(right), len(questions))


def right_answers(questions: Sequence[Analogy], words: Sequence[str], unit: Floats) -> list[bool]:
    """Whether the first answer by 3CosAdd is right, for each analogy whose four words are in ``words``.

    unit: (N, D), a vector of length 1 for each of ``words``; the three words given are no answers.
    """
    place = {word: i for i, word in enumerate(words)}
    asked = np.array([[place[w] for w in q[1:]] for q in questions if all(w in place for w in q[1:])], dtype=np.int64)
    right: list[bool] = []
    for at in range(0, len(asked), 512):
        a, b, c, d = asked[at : at + 512].T
        cosines = (unit[b] - unit[a] + unit[c]) @ unit.T
        rows = np.arange(len(a))
        for given in (a, b, c):
            cosines[rows, given] = -np.inf
        right += (cosines.argmax(1) == d).tolist()
    return right


def score_pairs(pairs: Sequence[Pair], vector: Callable[[str], Floats | None]) -> WordScore:
    """Spearman's correlation of cosines with people's scores, over the pairs of which both vectors are known."""
    said, measured = similarities(pairs, vector)
    if len(said) < 2:
        return WordScore(None, len(said), len(pairs))
    x, y = np.array(said), np.array(measured)
    draw = np.random.default_rng(0)
    resampled = [spearman(x[i], y[i]) for i in (draw.integers(len(x), size=len(x)) for _ in range(RESAMPLES))]
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return WordScore(Interval(spearman(x, y), float(low), float(high)), len(said), len(pairs))


def similarities(pairs: Sequence[Pair], vector: Callable[[str], Floats | None]) -> tuple[list[float], list[float]]:
    """People's scores and the cosines, of the pairs of which both vectors are known."""
    said, measured = [], []
    for pair in pairs:
        one, other = vector(pair.one), vector(pair.other)
        if one is not None and other is not None:
            said.append(pair.score)
            measured.append(float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12)))
    return said, measured


def spearman(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """The correlation of ranks, ties having their mean rank (Spearman 1904); nan where one side is constant."""
    a, b = _ranks(np.asarray(x, dtype=float)), _ranks(np.asarray(y, dtype=float))
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / spread) if spread else float("nan")


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return mean


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise describe_os_error(error, path) from error
    except UnicodeDecodeError as error:
        raise LimpidError(f"{path} is not UTF-8 (at byte {error.start}).") from None
