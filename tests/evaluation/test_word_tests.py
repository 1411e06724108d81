"""Tests of word vectors: scores against plain loops and values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.evaluation.word_tests import (
    Analogy,
    Pair,
    read_analogies,
    read_pairs,
    score_analogies,
    score_pairs,
    spearman,
)


def test_spearman_of_textbook_ranks() -> None:
    # Ranks 1..5 against 2 1 4 3 5: 1 - 6 * 4 / (5 * 24) = 0.8.
    assert spearman([10, 20, 30, 40, 50], [7, 3, 9, 8, 11]) == pytest.approx(0.8)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert np.isnan(spearman([1, 2], [5, 5]))


def test_spearman_with_ties_is_the_correlation_of_mean_ranks() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.integers(0, 6, 40).astype(float), draw.integers(0, 6, 40).astype(float)

    def ranks(values: np.ndarray) -> list[float]:  # how many are below, and half of those alike
        return [sum(o < v for o in values) + (sum(o == v for o in values) + 1) / 2 for v in values]

    assert spearman(x, y) == pytest.approx(np.corrcoef(ranks(x), ranks(y))[0, 1])


def test_analogies_against_a_plain_loop() -> None:
    draw = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    unit = draw.normal(size=(30, 3)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    questions = [Analogy("s", *(f"w{i}" for i in draw.choice(33, 4, replace=False))) for _ in range(700)]
    right = asked = 0
    for _, a, b, c, d in questions:
        if not {a, b, c, d} <= set(words):
            continue
        asked += 1
        goal = unit[int(b[1:])] - unit[int(a[1:])] + unit[int(c[1:])]
        others = [w for w in words if w not in (a, b, c)]
        right += max(others, key=lambda w: float(goal @ unit[int(w[1:])])) == d
    score = score_analogies(questions, words, unit)
    assert (score.asked, score.total) == (asked, 700)
    assert score.value is not None
    assert score.value.value == pytest.approx(right / asked)
    assert score.value.low <= score.value.value <= score.value.high
    assert 0 < right < asked


def test_similarity_and_coverage() -> None:
    table = {"a": [1, 0], "b": [1, 0.1], "c": [1, 1], "d": [0, 1]}
    pairs = [Pair("a", "b", 9), Pair("a", "c", 5), Pair("a", "d", 1), Pair("a", "zz", 3)]
    score = score_pairs(pairs, lambda word: np.array(table[word], dtype=np.float32) if word in table else None)
    assert (score.asked, score.total) == (3, 4)
    assert score.value is not None
    assert score.value.value == pytest.approx(1)
    assert score_pairs(pairs[3:], lambda word: None).value is None


def test_files(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text(": capitals\nAthens Greece Oslo Norway\n\n: verbs\ngo went do did\n")
    assert [q.section for q in read_analogies(tmp_path / "q.txt")] == ["capitals", "verbs"]
    (tmp_path / "p.tsv").write_text("word1\tword2\tscore\ntiger\tcat\t7.35\n")
    assert read_pairs(tmp_path / "p.tsv") == [Pair("tiger", "cat", 7.35)]
    (tmp_path / "q.txt").write_text("one two three\n")
    with pytest.raises(LimpidError, match=r"q.txt:1 is no analogy"):
        read_analogies(tmp_path / "q.txt")
    (tmp_path / "p.tsv").write_text("a\tb\t1\nc d 2\n")
    with pytest.raises(LimpidError, match=r"p.tsv:2 is no pair"):
        read_pairs(tmp_path / "p.tsv")
    with pytest.raises(LimpidError, match="does not exist"):
        read_pairs(tmp_path / "none.tsv")
