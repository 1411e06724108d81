"""Word vectors opened: neighbours, analogies, and what a dense vector has that a one-hot one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError, did_you_mean
from limpid.text.tokenizer import Tokenizer

Floats = npt.NDArray[np.float32]


class Neighbour(NamedTuple):
    """A word and its cosine with what was asked about."""

    word: str
    cosine: float


class WordVectors:
    """The embedding table of a model, read as vectors of words.

    A word of one token has that token's row; a word of several has the mean of their rows. Neighbours are looked for
    among the words that are one token.
    """

    def __init__(self, tokenizer: Tokenizer, table: Floats) -> None:
        """table: (V, D), a row for every id of ``tokenizer``."""
        if len(table) < tokenizer.vocab_size:
            raise LimpidError(f"the table has {len(table)} rows and the tokenizer {tokenizer.vocab_size} tokens.")
        self.tokenizer = tokenizer
        self.table = np.asarray(table, dtype=np.float32)
        by_word: dict[str, int] = {}
        for token_id in range(tokenizer.vocab_size):
            word = _whole_word(tokenizer, token_id)
            if word and (word not in by_word or tokenizer.token_bytes(token_id).startswith(b" ")):
                by_word[word] = token_id
        self.ids = by_word
        self.words = list(by_word)

    @cached_property
    def unit(self) -> Floats:
        """(N, D): the vectors of `words`, each of length 1."""
        return _unit(self.table[list(self.ids.values())])

    def tokens(self, word: str) -> list[int]:
        """The ids that a word is made of: as it stands within a text, after a space.

        Raises:
            LimpidError: the vocabulary does not know it; the nearest known words are named.
        """
        if word in self.ids:
            return [self.ids[word]]
        spaced = self.tokenizer.encode(f" {word}")
        ids = [i for i in spaced if self.tokenizer.token_bytes(i).strip()] or spaced
        if not ids or self.tokenizer.unknown in ids:
            raise LimpidError(f"this model does not know the word '{word}'.{_nearest(word, self.words)}")
        return ids

    def vector(self, word: str) -> Floats:
        """(D,) the mean of the rows of a word's tokens."""
        mean: Floats = self.table[self.tokens(word)].mean(0)
        return mean

    def knows(self, word: str) -> bool:
        """Whether `vector` has an answer."""
        try:
            self.tokens(word)
        except LimpidError:
            return False
        return True

    def neighbours(self, word: str, count: int = 10) -> list[Neighbour]:
        """The words of the largest cosine with ``word``, itself left out."""
        return self._nearest_to(self.vector(word), {word}, count)

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[Neighbour]:
        """What is to ``c`` as ``b`` is to ``a``: the words nearest to b - a + c (3CosAdd, Mikolov et al. 2013).

        The vectors are brought to length 1 before they are added; the three words themselves are left out.
        """
        va, vb, vc = (_unit(self.vector(word)[None])[0] for word in (a, b, c))
        return self._nearest_to(vb - va + vc, {a, b, c}, count)

    def one_hot_and_dense(self, words: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Cosines between all pairs of words, (W, W) each: of their one-hot vectors (V wide) and of their dense ones.

        The one-hot vector of a word of several tokens is the mean of theirs; times the table it gives the dense one.
        """
        one_hot = np.zeros((len(words), len(self.table)))
        for row, word in enumerate(words):
            for token_id in self.tokens(word):
                one_hot[row, token_id] += 1 / len(self.tokens(word))
        dense = one_hot @ self.table
        return _cosines(one_hot), _cosines(dense)

    def _nearest_to(self, vector: Floats, left_out: set[str], count: int) -> list[Neighbour]:
        cosines = self.unit @ _unit(vector[None])[0]
        cosines[[i for i, word in enumerate(self.words) if word in left_out]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:count]
        return [Neighbour(self.words[i], float(cosines[i])) for i in best if np.isfinite(cosines[i])]


def _whole_word(tokenizer: Tokenizer, token_id: int) -> str:
    """The word a token spells, "" where it is a control token, a part of a character, or white space."""
    if token_id in tokenizer.special_ids or token_id == tokenizer.unknown:
        return ""
    try:
        return tokenizer.token_bytes(token_id).decode("utf-8").strip()
    except UnicodeDecodeError:
        return ""


def _nearest(word: str, words: list[str]) -> str:
    lower = {known.lower(): known for known in words}
    if word.lower() in lower:
        return f" Did you mean '{lower[word.lower()]}'?"
    near = did_you_mean(word, words)
    return near if near.startswith(" Did") else f" It knows {len(words):,} words."


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def _cosines(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    product: npt.NDArray[np.float64] = unit @ unit.T
    return product
