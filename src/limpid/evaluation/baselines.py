"""What a model without a neural network makes of the same text: a compressor and an n-gram model."""

from __future__ import annotations

import lzma
import math

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def xz_bits_per_byte(prefix: bytes, test: bytes) -> float:
    """Bits that ``xz -9e`` spends on a byte of ``test`` once it has seen ``prefix``: the growth of the output.

    The dictionary covers both, so that nothing of the prefix is forgotten.
    """
    if not test:
        raise ValueError("there is no test text to compress")

    def size(data: bytes) -> int:
        dictionary = max(1 << 16, len(prefix) + len(test))
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
        return len(lzma.compress(data, format=lzma.FORMAT_XZ, filters=filters))

    return 8 * (size(prefix + test) - size(prefix)) / len(test)


class KneserNey:
    """An n-gram model with interpolated, modified Kneser-Ney smoothing (Chen & Goodman 1998, equations 26 to 28).

    The longest n-grams keep their counts; shorter ones count the distinct tokens seen before them. From each count one
    of three discounts is taken, by counts of counts, and given to the next shorter order; below one token lies the
    uniform distribution. All n-grams of an order are one sorted array of ``context id x V + token``, so that training
    and look-up are NumPy calls.
    """

    def __init__(self, ids: npt.ArrayLike, vocab_size: int, order: int = 5) -> None:
        tokens = np.asarray(ids, dtype=np.int64)
        if order < 1 or len(tokens) < order:
            raise ValueError(f"{len(tokens)} tokens hold no {order}-gram")
        if tokens.min() < 0 or tokens.max() >= vocab_size:
            raise ValueError(f"token ids must lie in 0..{vocab_size - 1}")
        self.vocab_size, self.order = vocab_size, order
        self._keys: list[Ids] = []
        inverses: list[Ids] = []  # of each place where an n-gram ends, in order of the places
        firsts: list[Ids] = []
        contexts = np.zeros(len(tokens), dtype=np.int64)
        for length in range(order):  # of the context
            ends = tokens[length:]
            keys, first, inverse = np.unique(contexts * vocab_size + ends, return_index=True, return_inverse=True)
            self._keys.append(keys)
            firsts.append(first)
            inverses.append(inverse)
            contexts = inverse[:-1]
        self._counts: list[Floats] = []
        self._totals: list[Floats] = []
        self._taken: list[Floats] = []  # from each context, by its discounts
        self._discounts: list[Floats] = []
        for length in range(order):
            if length == order - 1:
                counts = np.bincount(inverses[length], minlength=len(self._keys[length]))
            else:  # distinct n-grams one longer that end in this one; the same place ends both
                suffixes = inverses[length][1:][firsts[length + 1]]
                counts = np.bincount(suffixes, minlength=len(self._keys[length]))
            self._add(counts, self._keys[length] // vocab_size)

    def _add(self, counts: Ids, contexts: Ids) -> None:
        discounts = _discounts(counts)
        n_contexts = int(contexts.max()) + 1
        self._counts.append(counts.astype(np.float64))
        self._totals.append(np.bincount(contexts, weights=counts, minlength=n_contexts).astype(np.float64))
        taken = discounts[np.minimum(counts, 3)]
        self._taken.append(np.bincount(contexts, weights=taken, minlength=n_contexts).astype(np.float64))
        self._discounts.append(discounts)

    def probabilities(self, contexts: npt.ArrayLike, tokens: npt.ArrayLike) -> Floats:
        """The probability of each of ``tokens`` (N,) after its row of ``contexts`` (N, order - 1)."""
        history, wanted = np.asarray(contexts, dtype=np.int64), np.asarray(tokens, dtype=np.int64)
        result = np.full(len(wanted), 1 / self.vocab_size)
        for length in range(self.order):
            context = np.zeros(len(wanted), dtype=np.int64)
            for place in range(length):
                context = self._find(place, context, history[:, history.shape[1] - length + place])
            known = context >= 0
            known[known] = context[known] < len(self._totals[length])
            known[known] = self._totals[length][context[known]] > 0
            gram = self._find(length, np.where(known, context, -1), wanted)
            count = np.where(gram >= 0, self._counts[length][gram], 0.0)
            total = np.where(known, self._totals[length][np.where(known, context, 0)], 1.0)
            taken = np.where(known, self._taken[length][np.where(known, context, 0)], 1.0)
            kept = count - self._discounts[length][np.minimum(count, 3).astype(np.int64)]
            result = (kept + taken * result) / total
        return result

    def _find(self, length: int, contexts: Ids, tokens: Ids) -> Ids:
        """Ids of the n-grams ``context + token`` of a context of ``length`` tokens; -1 where there is none."""
        keys = self._keys[length]
        wanted = contexts * self.vocab_size + tokens
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((contexts >= 0) & (keys[found] == wanted), found, -1)


def _discounts(counts: Ids) -> Floats:
    """What is taken from counts of 0, 1, 2 and 3 or more (equation 26)."""
    n1, n2, n3, n4 = np.bincount(counts, minlength=5)[1:5].tolist()
    if not (n1 and n2 and n3):  # too little text to estimate from
        return np.array([0.0, 0.5, 0.75, 0.9])
    y = n1 / (n1 + 2 * n2)
    estimates = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return np.clip(estimates, 0.0, [0.0, 1.0, 2.0, 3.0])


def kneser_ney_bits_per_byte(
    train_ids: npt.ArrayLike, test_ids: npt.ArrayLike, vocab_size: int, order: int = 5, *, test_bytes: int
) -> float:
    """Bits that a Kneser-Ney model of ``train_ids`` spends on a byte of the text that ``test_ids`` stand for.

    Every test token is predicted, the first ones after the last ones of the training text.
    """
    train, test = np.asarray(train_ids, dtype=np.int64), np.asarray(test_ids, dtype=np.int64)
    if not len(test) or test_bytes <= 0:
        raise ValueError("there is no test text to predict")
    model = KneserNey(train, vocab_size, order)
    stream = np.concatenate([train[len(train) - (order - 1) :], test])
    windows = np.lib.stride_tricks.sliding_window_view(stream, order)
    bits = -np.log(model.probabilities(windows[:, :-1], windows[:, -1])).sum() / math.log(2)
    return float(bits) / test_bytes
