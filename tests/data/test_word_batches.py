"""Batches of skip-gram: which words are centres, what stands around them, and how noise is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.data.word_batches import WordBatches, stay, thinned


def batches(ids: np.ndarray, counts: np.ndarray, **changes: float) -> WordBatches:
    shape = {"window": 3, "words": 16, "noise": 8, "subsample": 0.0, "seed": 0}
    return WordBatches(ids, counts, **(shape | changes))


def test_pairs_are_near_and_every_word_is_a_centre_once_an_epoch() -> None:
    text = np.arange(150, dtype=np.uint16)
    made = batches(text, np.ones(150))
    for epoch in (0, 1):
        centres, reaches = [], set()
        for step in range(made.steps_an_epoch):
            batch = made[epoch * made.steps_an_epoch + step]
            centres += batch.centres.tolist()
            distances = (batch.centres[batch.pairs] - batch.contexts).abs().tolist()
            assert min(distances) >= 1
            reaches |= set(distances)
            # Of the words within reach none is left out: each centre sees as many on both sides, but at the borders.
            for place, centre in enumerate(batch.centres.tolist()):
                seen = sorted((batch.contexts[batch.pairs == place] - centre).tolist())
                reach = max(map(abs, seen))
                assert seen == [o for o in range(-reach, reach + 1) if o and 0 <= centre + o < 150]
        assert sorted(centres) == text.tolist()
        assert reaches == {1, 2, 3}


def test_a_batch_depends_on_the_seed_and_its_step_alone() -> None:
    text = np.random.default_rng(0).integers(0, 50, 3000).astype(np.uint16)
    counts = np.bincount(text, minlength=50).astype(float)
    straight = batches(text, counts, subsample=1e-2)
    wanted = [straight[step] for step in range(2 * straight.steps_an_epoch)]
    jumping = batches(text, counts, subsample=1e-2)
    for step in np.random.default_rng(1).permutation(len(wanted)).tolist():
        assert all(a.equal(b) for a, b in zip(jumping[step], wanted[step], strict=True))
    assert not batches(text, counts, subsample=1e-2, seed=1)[0].noise.equal(wanted[0].noise)


def test_noise_is_drawn_by_counts_to_the_three_quarters() -> None:
    counts = np.array([0.0, 1.0, 16.0, 81.0, 0.0])
    text = np.repeat(np.arange(5, dtype=np.uint16), counts.astype(int))
    made = batches(text, counts, noise=1000)
    drawn = np.bincount(np.concatenate([made[step].noise.numpy() for step in range(40)]), minlength=5) / 40_000
    np.testing.assert_allclose(drawn, np.array([0, 1, 8, 27, 0]) / 36, atol=0.01)


def test_words_stay_as_word2vec_keeps_them() -> None:
    """By the formula in word2vec.c: (sqrt(n / (t N)) + 1) * (t N) / n for a word that stands n times among N."""
    counts = np.array([600.0, 300.0, 90.0, 10.0, 0.0])
    t = 0.02
    expected = [min(1.0, (np.sqrt(n / (t * 1000)) + 1) * (t * 1000) / n) for n in counts[:4]]
    assert stay(counts, t) == pytest.approx([*expected, 0.0])
    assert stay(counts, 0.0).tolist() == [1, 1, 1, 1, 0]


def test_thinning_keeps_each_word_with_its_probability() -> None:
    ids = np.repeat(np.arange(3, dtype=np.uint16), 20_000)
    left = np.bincount(thinned(ids, np.array([0.0, 0.25, 1.0]), 0, 0), minlength=3) / 20_000
    np.testing.assert_allclose(left, [0, 0.25, 1], atol=0.02)
