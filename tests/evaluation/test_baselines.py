import lzma
import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from limpid.evaluation.baselines import KneserNey, kneser_ney_bits_per_byte, xz_bits_per_byte

Gram = tuple[int, ...]


class SlowKneserNey:
    """The definition in dictionaries: one n-gram, one context at a time."""

    def __init__(self, ids: list[int], vocab_size: int, order: int) -> None:
        self.vocab_size = vocab_size
        occurrences = [Counter(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)) for n in range(1, order + 1)]
        self.counts: list[dict[Gram, int]] = []
        for n in range(1, order + 1):
            if n == order:
                self.counts.append(dict(occurrences[-1]))
                continue
            before: dict[Gram, set[int]] = defaultdict(set)
            for gram in occurrences[n]:
                before[gram[1:]].add(gram[0])
            self.counts.append({gram: len(before[gram]) for gram in occurrences[n - 1]})
        self.discounts = [self._estimate(counts) for counts in self.counts]

    @staticmethod
    def _estimate(counts: dict[Gram, int]) -> list[float]:
        n = [sum(count == i for count in counts.values()) for i in range(5)]
        if not (n[1] and n[2] and n[3]):
            return [0, 0.5, 0.75, 0.9]
        y = n[1] / (n[1] + 2 * n[2])
        raw = [0.0] + [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
        return [min(max(d, 0.0), float(i)) for i, d in enumerate(raw)]

    def probability(self, context: Gram, token: int) -> float:
        """P(token | context), from the order of ``len(context) + 1`` down."""
        lower = self.probability(context[1:], token) if context else 1 / self.vocab_size
        counts, discounts = self.counts[len(context)], self.discounts[len(context)]
        followers = [count for gram, count in counts.items() if gram[:-1] == context]
        if not sum(followers):
            return lower
        count = counts.get((*context, token), 0)
        taken = sum(discounts[min(f, 3)] for f in followers)
        return (count - discounts[min(count, 3)] + taken * lower) / sum(followers)


def text_like(length: int, vocab_size: int, seed: int) -> list[int]:
    """Tokens that depend on the one before, so that every order has something to learn."""
    draw = random.Random(seed)
    ids = [0]
    while len(ids) < length:
        ids.append((ids[-1] * 3 + int(draw.expovariate(0.7))) % vocab_size)
    return ids


@pytest.mark.parametrize(
    ("length", "vocab_size", "order"), [(400, 7, 5), (300, 12, 3), (60, 5, 2), (80, 4, 1), (5, 3, 5)]
)
def test_as_the_definition_says(length: int, vocab_size: int, order: int) -> None:
    ids = text_like(length, vocab_size - 1, seed=length)  # the last token of the vocabulary never occurs
    fast, slow = KneserNey(ids, vocab_size, order), SlowKneserNey(ids, vocab_size, order)
    draw = np.random.default_rng(0)
    contexts = np.concatenate(
        [
            draw.integers(vocab_size, size=(60, order - 1)),
            [ids[i : i + order - 1] for i in range(min(60, length - order))],
        ]
        if length > order
        else [draw.integers(vocab_size, size=(60, order - 1))]
    ).astype(int)
    tokens = draw.integers(vocab_size, size=len(contexts))
    expected = [slow.probability(tuple(c.tolist()), int(t)) for c, t in zip(contexts, tokens, strict=True)]
    np.testing.assert_allclose(fast.probabilities(contexts, tokens), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_sum_to_one_after_any_context(order: int) -> None:
    vocab_size = 50
    model = KneserNey(text_like(3000, vocab_size - 3, seed=1), vocab_size, order)
    for context in np.random.default_rng(2).integers(vocab_size, size=(20, order - 1)):
        p = model.probabilities(np.tile(context, (vocab_size, 1)), np.arange(vocab_size))
        assert (p > 0).all()
        assert p.sum() == pytest.approx(1)


def test_bits_per_byte_of_a_small_text() -> None:
    train, test = text_like(500, 9, seed=3), text_like(40, 9, seed=4)
    slow = SlowKneserNey(train, 10, 3)
    stream = train[-2:] + test
    bits = sum(-math.log2(slow.probability(tuple(stream[i : i + 2]), stream[i + 2])) for i in range(len(test)))
    assert kneser_ney_bits_per_byte(train, test, 10, 3, test_bytes=160) == pytest.approx(bits / 160)


def test_longer_contexts_predict_better() -> None:
    train, test = text_like(5000, 40, seed=5), text_like(500, 40, seed=6)
    bits = [kneser_ney_bits_per_byte(train, test, 41, order, test_bytes=500) for order in (1, 2)]
    assert bits[1] < bits[0] < math.log2(41)


def test_ids_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="0..4"):
        KneserNey([1, 2, 5], 5, 2)


def test_xz_learns_from_the_prefix() -> None:
    draw = random.Random(7)
    prefix = bytes(draw.choices(b"abcdefgh", k=20_000))
    assert xz_bits_per_byte(prefix, prefix[3000:13_000]) < 0.1
    fresh = bytes(draw.choices(b"abcdefgh", k=10_000))
    assert xz_bits_per_byte(prefix, fresh) == pytest.approx(3, abs=0.4)  # log2(8), and what xz loses


def test_xz_is_the_growth_of_the_compressed_file() -> None:
    prefix, test = b"to be or not to be, that is the question " * 20, b"whether 'tis nobler in the mind to suffer"
    preset = 9 | lzma.PRESET_EXTREME
    grown = len(lzma.compress(prefix + test, preset=preset)) - len(lzma.compress(prefix, preset=preset))
    assert xz_bits_per_byte(prefix, test) == 8 * grown / len(test)
