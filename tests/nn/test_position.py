"""Sinusoidal positions as Vaswani et al. 2017 describe them, and learned ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from limpid.nn.position import LearnedPositions, SinusoidalPositions


def test_sines_and_cosines_of_the_formula() -> None:
    found = SinusoidalPositions(10)(torch.arange(50)).numpy()
    for pos in (0, 1, 7, 49):
        for i in range(5):
            angle = pos / 10_000 ** (2 * i / 10)
            assert found[pos, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[pos, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize("k", [1, 5, 64, 1000])
@pytest.mark.parametrize("d_model", [8, 64, 512])
def test_a_shift_is_a_linear_map_that_is_the_same_everywhere(d_model: int, k: int) -> None:
    """P(pos + k) = M_k P(pos): M_k turns each pair (sin, cos) by k w_i, and does not know pos."""
    positions = torch.arange(0, 300)
    here = SinusoidalPositions(d_model)(positions).double().numpy()
    there = SinusoidalPositions(d_model)(positions + k).double().numpy()
    shift = np.zeros((d_model, d_model))
    for i in range(d_model // 2):
        turn = k / 10_000 ** (2 * i / d_model)
        c, s = math.cos(turn), math.sin(turn)
        shift[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, s], [-s, c]]
    np.testing.assert_allclose(here @ shift.T, there, atol=3e-4)
    assert np.abs(here @ shift.T - here).max() > 0.1


def test_any_length_and_any_width() -> None:
    far = SinusoidalPositions(6)(torch.tensor([1_000_000]))
    assert far.shape == (1, 6)
    assert far.isfinite().all()
    assert float(far.square().sum()) == pytest.approx(3, abs=1e-4)  # each pair lies on the unit circle
    assert SinusoidalPositions(7)(torch.arange(3)).shape == (3, 7)
    rows = SinusoidalPositions(6)(torch.tensor([[0, 1], [5, 6]]))
    torch.testing.assert_close(rows[1], SinusoidalPositions(6)(torch.tensor([5, 6])))


def test_learned_positions_are_looked_up() -> None:
    table = LearnedPositions(5, 3, std=0.02)
    table.reset_parameters(torch.Generator().manual_seed(0))
    torch.testing.assert_close(table(torch.tensor([[4, 0]])), table.weight[[4, 0]][None])
