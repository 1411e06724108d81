"""Words and the words around them: the batches of skip-gram, each a pure function of (seed, step)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.seeding import generator
from limpid.text.tokenizer import Tokenizer

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NOISE_POWER = 0.75
"""Noise words are drawn by their counts to this power (Mikolov et al. 2013, "Distributed Representations", 2.2)."""


class WordBatch(NamedTuple):
    """centres (W,) ids; contexts (P,) ids; pairs (P,) for each context the place of its centre; noise (K,) ids."""

    centres: Tensor
    contexts: Tensor
    pairs: Tensor
    noise: Tensor


class WordBatches:
    """``batches[step]``: about ``words`` centre words in a row, what stands around each, and ``noise`` noise words.

    An epoch is the text with its frequent words thinned out anew, in parts of one size that come in random order. A
    centre word looks at 1 to ``window`` words on each side, drawn for each, so that nearer ones count more; words that
    are not in the vocabulary, and the ends of documents, are no words and leave no gap (as in word2vec).
    """

    def __init__(
        self,
        ids: npt.NDArray[np.unsignedinteger],
        counts: Floats,
        *,
        window: int,
        words: int,
        noise: int,
        subsample: float,
        seed: int,
    ) -> None:
        """ids (N,): the text. counts (V,): see `word_counts`. subsample: see `stay`."""
        self.ids, self.window, self.noise, self.seed = ids, window, noise, seed
        self._stays = stay(counts, subsample)
        self.steps_an_epoch = max(1, round(float((counts * self._stays).sum()) / words))
        powers = np.cumsum(counts**NOISE_POWER)
        self._noise_below = powers / powers[-1]
        self._epoch: tuple[int, Ids, Ids] | None = None

    def __getitem__(self, step: int) -> WordBatch:
        epoch, place = divmod(step, self.steps_an_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            order = generator(self.seed, "order", epoch).permutation(self.steps_an_epoch)
            self._epoch = epoch, thinned(self.ids, self._stays, self.seed, epoch), order
        _, text, order = self._epoch
        part = int(order[place])
        begin, end = (len(text) * edge // self.steps_an_epoch for edge in (part, part + 1))
        draw = generator(self.seed, "step", step)
        contexts, pairs = _around(text, begin, end, draw.integers(1, self.window + 1, size=end - begin), self.window)
        noise = np.searchsorted(self._noise_below, draw.random(self.noise), side="right")
        return WordBatch(*(torch.from_numpy(part) for part in (text[begin:end], contexts, pairs, noise)))


def word_counts(ids: npt.NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> Floats:
    """(V,) how often each word stands in the text; control tokens and the unknown word count as absent."""
    counts = np.bincount(ids, minlength=tokenizer.vocab_size).astype(np.float64)
    counts[list(tokenizer.special_ids)] = 0
    if tokenizer.unknown is not None:
        counts[tokenizer.unknown] = 0
    return counts


def stay(counts: Floats, threshold: float) -> Floats:
    """(V,) the probability with which each word stays in an epoch's text; absent words have none.

    sqrt(t / f) + t / f for a word of the frequency f, at most 1, as the program word2vec has it (the paper, section
    2.3, has the first term alone). A threshold t of 0 keeps every word.
    """
    ratio = threshold / np.maximum(counts / counts.sum(), 1e-30)
    kept = np.minimum(1, np.sqrt(ratio) + ratio) if threshold else np.ones_like(counts)
    return np.where(counts > 0, kept, 0.0)


def thinned(ids: npt.NDArray[np.unsignedinteger], stays: Floats, seed: int, epoch: int) -> Ids:
    """The text of an epoch: each word stays with its probability, drawn from (seed, epoch)."""
    draw = generator(seed, "thinning", epoch)
    return np.asarray(ids[draw.random(len(ids), dtype=np.float32) < stays[ids]], dtype=np.int64)


def _around(text: Ids, begin: int, end: int, reach: Ids, window: int) -> tuple[Ids, Ids]:
    """The words at most ``reach`` from each of the centres text[begin:end], and the place of each one's centre."""
    offsets = np.array([*range(-window, 0), *range(1, window + 1)])
    places = np.arange(begin, end)[:, None] + offsets  # (W, 2 window)
    chosen = (np.abs(offsets) <= reach[:, None]) & (places >= 0) & (places < len(text))
    return text[places[chosen]], np.nonzero(chosen)[0]
