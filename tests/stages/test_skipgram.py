"""Word vectors learnt from a text whose words keep company by design."""

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.stages.events import Finished
from limpid.stages.load import load_word_vectors
from limpid.stages.skipgram import SkipgramSection, WordsRecipe, neighbourhoods, skipgram, thinned
from limpid.training.fit import StepReport

GROUPS = [["cat", "dog", "mouse", "bird"], ["red", "green", "blue", "black"], ["one", "two", "three", "four"]]


@pytest.fixture
def recipe(tmp_path):
    draw = np.random.default_rng(0)
    lines = [" ".join(draw.choice(GROUPS[draw.integers(3)], 6)) for _ in range(1500)]
    path = tmp_path / "company.txt"
    path.write_text("\n".join(lines))
    table = {
        "data": {"path": str(path)},
        "tokenizer": {"kind": "word", "vocab_size": 18},
        "skipgram": {"dim": 8, "window": 2, "epochs": 3, "subsample": 0, "words_a_step": 128, "lr": 0.02},
    }
    return parse(WordsRecipe, table, "test")


def test_words_that_keep_company_become_neighbours(recipe, tmp_path):
    events = list(skipgram(recipe, tmp_path / "run"))
    losses = [e.loss for e in events if isinstance(e, StepReport)]
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    assert isinstance(events[-1], Finished)
    vectors = load_word_vectors(tmp_path / "run")
    for group in GROUPS:
        assert {n.word for n in vectors.neighbours(group[0], 3)} == set(group[1:])
    with pytest.raises(LimpidError, match="already holds word vectors"):
        next(skipgram(recipe, tmp_path / "run"))


def test_the_same_seed_gives_the_same_vectors(recipe, tmp_path):
    tables = []
    for name in ("a", "b"):
        list(skipgram(recipe, tmp_path / name))
        tables.append((tmp_path / name / "vectors.safetensors").read_bytes())
    assert tables[0] == tables[1]


def test_pairs_are_near_and_every_word_is_a_centre():
    text = np.arange(100, 150)
    section = SkipgramSection(window=3, words_a_step=16)
    centres, reaches = [], set()
    for batch in neighbourhoods(text, section, 0):
        centres += batch.centres.tolist()
        distance = np.abs(batch.centres[batch.pairs] - batch.contexts)
        assert distance.min() >= 1
        assert distance.max() <= 3
        reaches |= set(distance.tolist())
    assert sorted(centres) == text.tolist()
    assert reaches == {1, 2, 3}


def test_thinning_keeps_each_word_with_its_probability():
    ids = np.repeat(np.arange(3, dtype=np.uint16), 20_000)
    left = np.bincount(thinned(ids, np.array([0.0, 0.25, 1.0]), 0, 0), minlength=3) / 20_000
    np.testing.assert_allclose(left, [0, 0.25, 1], atol=0.02)
