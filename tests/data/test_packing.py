"""Packing shown token by token: what predicts what, with which weight, and who sees whom."""

from itertools import pairwise

from limpid.data.packing import pack


def test_two_sequences_in_one_row_token_by_token():
    first = ([10, 11, 12, 13], [0.0, 0.0, 1.0, 1.0])
    second = ([20, 21, 22], [0.0, 1.0, 0.0])
    batch = pack([first, second], context=8, pad=0)
    assert batch.inputs.tolist() == [[10, 11, 12, 20, 21, 0, 0, 0]]
    assert batch.targets.tolist() == [[11, 12, 13, 21, 22, 0, 0, 0]]
    assert batch.weights.tolist() == [[0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    assert batch.segments.tolist() == [[1, 1, 1, 2, 2, 0, 0, 0]]


def test_nothing_is_lost_and_nothing_cut():
    sequences = [(list(range(100 * n, 100 * n + 2 + n % 9)), [1.0] * (2 + n % 9)) for n in range(50)]
    batch = pack(sequences, context=16, pad=-1)
    pairs = {(a, b) for a, b, w in zip(batch.inputs.flatten().tolist(), batch.targets.flatten().tolist(),
                                       batch.weights.flatten().tolist(), strict=True) if w}  # fmt: skip
    assert pairs == {(a, b) for ids, _ in sequences for a, b in pairwise(ids)}
