"""Accuracy, calibration and the two baselines of pairs, on pairs whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.data.preferences import Preference
from limpid.evaluation.preferences import accuracy, calibration, length_margins, ordered, word_margins

PROMPT = ({"role": "user", "content": "What is it?"},)


def test_a_tie_is_half_right() -> None:
    assert ordered([2.0, 0.0, -1.0]).tolist() == [1.0, 0.5, 0.0]
    measured = accuracy([2.0, 0.0, -1.0])
    assert measured.value == 0.5
    assert 0 <= measured.low <= 0.5 <= measured.high <= 1


def test_calibration_is_the_mean_gap_between_sureness_and_truth() -> None:
    # 3 of 4 right at a confidence of .75, 1 of 2 at .95: gaps of 0 and .45
    sure, very = np.log(3), np.log(19)
    found = calibration([sure, sure, sure, -sure, very, -very])
    assert found.error == pytest.approx(2 / 6 * 0.45)
    assert [(b.pairs, round(b.confidence, 3), b.accuracy) for b in found.table] == [(4, 0.75, 0.75), (2, 0.95, 0.5)]
    assert calibration([0.0]).table[0].confidence == 0.5


def test_calibrated_rewards_have_no_error_beyond_chance() -> None:
    draw = np.random.default_rng(0)
    margins = draw.normal(size=20_000) * 2
    right = draw.random(20_000) < 1 / (1 + np.exp(-np.abs(margins)))
    assert calibration(np.where(right, np.abs(margins), -np.abs(margins))).error < 0.02
    assert calibration(10 * np.where(right, np.abs(margins), -np.abs(margins))).error > 0.1


def test_length_alone_takes_the_side_that_training_shows() -> None:
    longer = [Preference(PROMPT, "a long answer", "short"), Preference(PROMPT, "and a longer one", "b")]
    asked = [Preference(PROMPT, "abc", "abcde"), Preference(PROMPT, "abc", "abd")]
    assert np.sign(length_margins(longer, asked)).tolist() == [-1, 0]
    shorter = [Preference(PROMPT, "b", "a long answer")]
    assert np.sign(length_margins(shorter, asked)).tolist() == [1, 0]


def test_words_alone_tell_what_words_can_tell() -> None:
    draw = np.random.default_rng(0)
    fill = ["cat", "dog", "mat", "log", "tree", "sun"]

    def pair() -> Preference:
        words = " ".join(draw.choice(fill, size=4))
        return Preference(PROMPT, f"{words} good", f"{' '.join(draw.choice(fill, size=4))} bad")

    train, validation, asked = ([pair() for _ in range(n)] for n in (60, 20, 40))
    assert (word_margins(train, validation, asked) > 0).all()
