"""Masking: 15% of the tokens, 80/10/10, a pure function of (seed, step)."""

from __future__ import annotations

import pytest
import torch

from limpid.data.batches import Batch
from limpid.data.masked_batches import MaskedBatches

MASK, VOCAB = 1000, 1000


class Rows:
    """Tokens 10 .. 999, other ones at every step; 5 is kept."""

    def __init__(self, shape: tuple[int, int] = (64, 128)) -> None:
        self.shape = shape

    def __getitem__(self, step: int) -> Batch:
        ids = torch.randint(10, VOCAB, self.shape, generator=torch.Generator().manual_seed(step))
        ids[:, ::16] = 5
        return Batch(ids, ids, torch.ones(self.shape))


def masked(seed: int = 0, rows: Rows | None = None) -> MaskedBatches:
    return MaskedBatches(rows or Rows(), seed, mask=MASK, vocab_size=VOCAB, kept={5})


def test_shares_are_those_of_the_paper():
    source, batches = Rows(), masked()
    chosen = hidden = same = total = 0
    for step in range(20):
        tokens, batch = source[step].inputs, batches[step]
        assert torch.equal(batch.targets, tokens)
        picked = batch.weights > 0
        assert set(batch.weights.unique().tolist()) == {0.0, 1.0}
        assert not picked[tokens == 5].any()  # control tokens are never asked for
        assert torch.equal(batch.inputs[~picked], tokens[~picked])  # nothing else is touched
        chosen += int(picked.sum())
        hidden += int((batch.inputs[picked] == MASK).sum())
        same += int((batch.inputs[picked] == tokens[picked]).sum())
        total += int((tokens != 5).sum())
    assert chosen / total == pytest.approx(0.15, abs=0.005)
    assert hidden / chosen == pytest.approx(0.8, abs=0.01)
    assert same / chosen == pytest.approx(0.1, abs=0.01)


def test_a_batch_is_a_function_of_seed_and_step_alone():
    batches = masked()
    first = batches[3]
    _ = batches[7]
    for other in (batches[3], masked()[3]):
        assert torch.equal(first.inputs, other.inputs)
        assert torch.equal(first.weights, other.weights)
    assert not torch.equal(first.weights, masked(seed=1)[3].weights)
    assert not torch.equal(first.weights, batches[4].weights)


def test_every_row_has_something_to_tell():
    batches = masked(rows=Rows((400, 3)))
    for step in range(5):
        assert (batches[step].weights.sum(1) >= 1).all()
