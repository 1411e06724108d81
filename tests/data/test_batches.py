"""Batches are pure functions of (seed, step), and every window is seen once an epoch."""

import numpy as np
import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.data.batches import Batch, MixedBatches, PackedBatches, TextBatches
from limpid.data.token_store import TokenStore


def store(tokens: int) -> TokenStore:
    return TokenStore(np.arange(tokens, dtype=np.uint16), tokens, 1, "")


def test_targets_are_the_inputs_one_later():
    batch = TextBatches(store(200), 16, 4, seed=0)[3]
    assert torch.equal(batch.targets, batch.inputs + 1)
    assert batch.weights.shape == batch.inputs.shape == (4, 16)


def test_any_step_can_be_asked_for_in_any_order():
    one, other = TextBatches(store(1000), 16, 4, seed=5), TextBatches(store(1000), 16, 4, seed=5)
    forwards = [one[s].inputs for s in range(60)]
    backwards = [other[s].inputs for s in reversed(range(60))]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert not torch.equal(forwards[0], TextBatches(store(1000), 16, 4, seed=6)[0].inputs)


def test_an_epoch_visits_every_window_once_and_the_next_one_cuts_elsewhere():
    batches = TextBatches(store(1001), 10, 1, seed=0)
    first = sorted(int(batches[s].inputs[0, 0]) for s in range(batches.windows))
    second = sorted(int(batches[s].inputs[0, 0]) for s in range(batches.windows, 2 * batches.windows))
    assert np.all(np.diff(first) == 10)
    assert np.all(np.diff(second) == 10)
    assert first[0] % 10 != second[0] % 10


def test_a_text_shorter_than_the_context_is_refused():
    with pytest.raises(LimpidError, match=r"10 tokens, fewer than one window of model.context \+ 1 = 17"):
        TextBatches(store(10), 16, 4, seed=0)


def test_the_rows_of_all_processes_make_the_whole_batch():
    batch = TextBatches(store(1000), 16, 8, seed=0)[0]
    parts = [batch.rows(start, start + 2) for start in range(0, 8, 2)]
    assert torch.equal(torch.cat([p.inputs for p in parts]), batch.inputs)


def test_packed_rows_come_once_an_epoch():
    rows = torch.arange(7)[:, None].expand(7, 4)
    batches = PackedBatches(Batch(rows, rows, torch.ones(7, 4), torch.zeros(7, 4, dtype=torch.int64)), 1, seed=0)
    assert sorted(int(batches[s].inputs[0, 0]) for s in range(7)) == list(range(7))
    assert sorted(int(batches[s].inputs[0, 0]) for s in range(7, 14)) == list(range(7))


def test_a_mixture_holds_the_rows_of_each_source():
    rows = torch.full((3, 16), 999)
    packed = PackedBatches(Batch(rows, rows, torch.ones(3, 16), torch.ones(3, 16, dtype=torch.int64)), 2, seed=0)
    batch = MixedBatches([packed, TextBatches(store(500), 16, 3, seed=0)])[0]
    assert (batch.inputs == 999).all(1).tolist() == [True, True, False, False, False]
    assert batch.segments[:, 0].tolist() == [1, 1, 0, 0, 0]
