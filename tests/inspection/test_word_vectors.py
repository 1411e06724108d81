"""Neighbours, analogies and one-hot vectors, on a table made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.inspection.word_vectors import WordVectors
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

TEXT = "king queen man woman cat cat car king queen man woman Paris"
TABLE = {
    "king": [1, 1, 0],
    "queen": [1, 0, 1],
    "man": [0, 1, 0],
    "woman": [0, 0, 1],
    "cat": [-1, 0, 0.1],
    "car": [-1, 0.5, 0],
}


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    tokenizer = train(TokenizerSection(kind="word", vocab_size=13), [TEXT])
    table = np.zeros((tokenizer.vocab_size, 3), dtype=np.float32)
    for word, row in TABLE.items():
        table[tokenizer.encode(word)[0]] = row
    return WordVectors(tokenizer, table)


def test_neighbours(vectors: WordVectors) -> None:
    found = vectors.neighbours("cat", 2)
    assert found[0].word == "car"
    expected = 1 / (np.sqrt(1.01) * np.sqrt(1.25))  # by hand: (-1)(-1) + 0 + 0
    assert found[0].cosine == pytest.approx(expected, abs=1e-6)
    assert "cat" not in [n.word for n in vectors.neighbours("cat", 99)]


def test_king_less_man_and_woman_is_queen(vectors: WordVectors) -> None:
    best = vectors.analogy("man", "king", "woman")
    assert best[0].word == "queen"
    assert not {"man", "king", "woman"} & {n.word for n in best}


def test_one_hot_vectors_are_all_alike_and_dense_ones_not(vectors: WordVectors) -> None:
    one_hot, dense = vectors.one_hot_and_dense(["cat", "car", "king"])
    np.testing.assert_array_equal(one_hot, np.eye(3))
    assert dense[0, 1] > 0.5 > dense[0, 2]
    assert dense[0, 2] == pytest.approx(-1 / (np.sqrt(1.01) * np.sqrt(2)), abs=1e-6)


def test_unknown_words_name_the_nearest(vectors: WordVectors) -> None:
    with pytest.raises(LimpidError, match="does not know the word 'quen'. Did you mean 'queen'"):
        vectors.vector("quen")
    with pytest.raises(LimpidError, match="does not know the word 'paris'. Did you mean 'Paris'"):
        vectors.neighbours("paris")
    assert not vectors.knows("zzz")


def test_a_word_of_several_tokens_is_their_mean(tokenizer: Tokenizer) -> None:
    table = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, 4)).astype(np.float32)
    vectors = WordVectors(tokenizer, table)
    ids = tokenizer.encode(" zebra")
    assert len(ids) > 2
    rows = [table[i] for i in ids if tokenizer.token_bytes(i) != b" "]
    np.testing.assert_allclose(vectors.vector("zebra"), sum(rows) / len(rows), rtol=1e-5)
    one_hot, dense = vectors.one_hot_and_dense(["zebra", "cat"])
    assert one_hot.shape == dense.shape == (2, 2)
    # A byte that is part of a character is no word.
    assert all("\ufffd" not in word and word for word in vectors.words)


def test_a_table_of_another_tokenizer(tokenizer: Tokenizer) -> None:
    with pytest.raises(LimpidError, match="3 rows and the tokenizer 320 tokens"):
        WordVectors(tokenizer, np.zeros((3, 2), dtype=np.float32))
