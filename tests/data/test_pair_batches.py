"""Batches of sentence pairs: every pair once an epoch, of like length, a pure function of (seed, step)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.data.pair_batches import EncodedPairs, PairBatches, Sentences, encode_pairs, in_order, make_batch
from limpid.data.pairs import Pair

END = 3


def sentences(rows: list[list[int]]) -> Sentences:
    starts = np.cumsum([0, *map(len, rows)])
    return Sentences(np.array([token for row in rows for token in row], dtype=np.int32), starts)


def random_pairs(count: int = 300, seed: int = 0) -> EncodedPairs:
    draw = np.random.default_rng(seed)
    # each source begins with its own number, so that it can be found again
    rows = [[1000 + i, *draw.integers(4, 50, int(draw.integers(0, 20))), END] for i in range(count)]
    others = [[*draw.integers(4, 50, max(1, len(row) + int(draw.integers(-2, 3)))), END] for row in rows]
    return EncodedPairs(sentences(rows), sentences(others), 0)


@pytest.mark.parametrize("epoch", [0, 1])
def test_every_pair_comes_once_an_epoch(epoch):
    pairs = random_pairs()
    batches = PairBatches(pairs, 128, seed=0, start=END, end=END)
    n = batches.steps_per_epoch
    seen = Counter(int(row[0]) for step in range(n) for row in batches[epoch * n + step].source)
    assert seen == Counter({1000 + i: 1 for i in range(300)})


def test_a_batch_is_a_function_of_seed_and_step_alone():
    pairs = random_pairs()
    one, other = (PairBatches(pairs, 128, seed=5, start=END, end=END) for _ in range(2))
    n = one.steps_per_epoch
    for step in (2 * n + 3, 0, n + 1, 2 * n + 3):
        for mine, theirs in zip(one[step], PairBatches(pairs, 128, seed=5, start=END, end=END)[step], strict=True):
            assert (mine is None and theirs is None) or torch.equal(mine, theirs)
    order = [[int(b.source[0, 0]) for b in map(other.__getitem__, range(e * n, (e + 1) * n))] for e in (0, 1)]
    assert order[0] != order[1]
    assert [int(PairBatches(pairs, 128, 6, END, END)[s].source[0, 0]) for s in range(n)] != order[0]


def test_batches_hold_so_many_tokens_and_little_padding():
    pairs = random_pairs(2000)
    batches = PairBatches(pairs, 512, seed=0, start=END, end=END)
    places = real = 0
    for step in range(batches.steps_per_epoch):
        batch = batches[step]
        assert len(batch.inputs) * max(batch.inputs.shape[1], batch.source.shape[1]) <= 512
        places += batch.inputs.numel()
        real += int(batch.weights.sum())
    assert real == len(pairs.target.ids)
    assert real / places > 0.9


def test_a_pair_longer_than_a_batch_is_a_batch_of_its_own():
    batches = PairBatches(random_pairs(), 4, seed=0, start=END, end=END)
    assert batches.steps_per_epoch >= 290
    assert all(len(batches[step].inputs) >= 1 for step in range(batches.steps_per_epoch))


def test_a_batch_token_by_token():
    pairs = EncodedPairs(sentences([[10, 11, END], [12, END]]), sentences([[20, END], [21, 22, 23, END]]), 0)
    batch = make_batch(pairs, [1, 0], start=7, end=END)
    assert batch.source.tolist() == [[12, END, END], [10, 11, END]]
    assert batch.source_lengths.tolist() == [2, 3]
    assert batch.inputs.tolist() == [[7, 21, 22, 23], [7, 20, END, END]]
    assert batch.targets.tolist() == [[21, 22, 23, END], [20, END, END, END]]
    assert batch.weights.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_rows_are_filled_up_so_that_processes_can_share_them():
    pairs = random_pairs()
    for processes in (2, 4):
        batches = PairBatches(pairs, 100, 0, END, END, processes)
        alone = PairBatches(pairs, 100, 0, END, END)
        for step in range(batches.steps_per_epoch):
            filled, plain = batches[step], alone[step]
            assert len(filled.inputs) % processes == 0
            assert filled.total_weight == plain.total_weight
            assert torch.equal(filled.source[: len(plain.source)], plain.source)
            assert int(filled.source_lengths.min()) >= 1  # an empty row still has something to look at


def test_in_order_measures_every_pair_once():
    pairs = random_pairs()
    rows = [int(row[0]) for batch in in_order(pairs, 128, END, END) for row in batch.source]
    assert sorted(rows) == [1000 + i for i in range(300)]


def test_encoding_closes_both_sides_and_counts_what_is_left_out(tokenizer):
    pairs = [Pair("The cat", "sat on", "x:1"), Pair("a" * 60, "b", "x:2")]
    encoded = encode_pairs(pairs, tokenizer, tokenizer.end_of_text, 20)
    assert encoded.left_out == 1
    assert encoded.source.sentence(0).tolist() == [*tokenizer.encode("The cat"), tokenizer.end_of_text]
    assert encoded.target.sentence(0).tolist() == [*tokenizer.encode("sat on"), tokenizer.end_of_text]
    with pytest.raises(LimpidError, match="no sentence pairs to train on"):
        PairBatches(encode_pairs(pairs[1:], tokenizer, 0, 20), 128, 0, 0, 0)
