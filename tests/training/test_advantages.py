"""Advantages against loops over their definitions, and against what must not divide by zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from limpid.training.objectives.advantages import (
    advantages_of,
    explained_variance,
    generalised_advantages,
    whitened,
)
from limpid.training.objectives.kl import exact, k1, k3

REWARDS = [[1.0, 0.0, 0.5, 1.0], [0.0, 0.0, 2.0, math.nan], [3.0, 3.0, 3.0, 3.0]]


def by_hand(baseline: str, divide_std: bool) -> list[list[float]]:
    everything = [r for group in REWARDS for r in group if not math.isnan(r)]
    found = []
    for group in REWARDS:
        there = [r for r in group if not math.isnan(r)]
        pool = there if baseline in ("group", "leave_one_out") else everything
        row = []
        for reward in group:
            if baseline == "none":
                value = reward
            elif baseline == "group":
                value = reward - sum(pool) / len(pool)
            else:
                value = reward - (sum(pool) - reward) / (len(pool) - 1)
            row.append(value / (np.std(pool, ddof=1) + 1e-4) if divide_std else value)
        found.append(row)
    return found


@pytest.mark.parametrize("divide_std", [False, True])
@pytest.mark.parametrize("baseline", ["group", "leave_one_out", "batch", "none"])
def test_advantages_are_what_their_definition_says_and_answers_without_reward_are_left_out(baseline, divide_std):
    found = advantages_of(torch.tensor(REWARDS), baseline, divide_std=divide_std)
    np.testing.assert_allclose(found.numpy(), by_hand(baseline, divide_std), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("divide_std", [False, True])
@pytest.mark.parametrize("baseline", ["group", "leave_one_out", "batch"])
def test_equal_rewards_and_lone_answers_teach_nothing_and_divide_by_nothing(baseline, divide_std):
    for rewards in (torch.full((3, 4), 0.7), torch.tensor([[2.0]])):
        found = advantages_of(rewards, baseline, divide_std=divide_std)
        assert found.abs().max() < 1e-3


def test_generalised_advantages_are_the_double_sum_of_their_definition():
    draw = np.random.default_rng(0)
    spoken = np.zeros((3, 9), dtype=bool)
    spoken[0, 2:7] = spoken[1, 0:9] = spoken[2, 4:5] = True
    rewards, values = draw.normal(size=(3, 9)) * spoken, draw.normal(size=(3, 9)) * spoken
    discount, smoothing = 0.9, 0.8
    expected = np.zeros((3, 9))
    for row in range(3):
        places = np.flatnonzero(spoken[row])
        for t in places:
            for ahead, u in enumerate(range(t, places[-1] + 1)):
                later = values[row, u + 1] if u < places[-1] else 0.0
                delta = rewards[row, u] + discount * later - values[row, u]
                expected[row, t] += (discount * smoothing) ** ahead * delta
    advantages, returns = generalised_advantages(
        torch.tensor(rewards), torch.tensor(values), torch.tensor(spoken), discount=discount, smoothing=smoothing
    )
    np.testing.assert_allclose(advantages.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(returns.numpy(), (expected + values) * spoken, atol=1e-6)


def test_whitened_numbers_have_mean_zero_and_deviation_one_and_equal_ones_are_zero():
    spoken = torch.tensor([[False, True, True], [True, True, False]])
    values = torch.tensor([[9.0, 1.0, 2.0], [3.0, 6.0, 9.0]])
    white = whitened(values, spoken)
    chosen = values[spoken].numpy()
    np.testing.assert_allclose(white[spoken].numpy(), (chosen - chosen.mean()) / chosen.std(), rtol=1e-5)
    assert not white[~spoken].any()
    assert not whitened(torch.ones(2, 3), spoken).any()
    assert not whitened(values, torch.zeros(2, 3, dtype=torch.bool)).any()


def test_explained_variance():
    returns = torch.tensor([[1.0, 2.0, 3.0]])
    spoken = torch.ones(1, 3, dtype=torch.bool)
    assert explained_variance(returns, returns, spoken) == 1.0
    assert explained_variance(torch.full((1, 3), 5.0), returns, spoken) == pytest.approx(0.0)
    assert explained_variance(returns, torch.ones(1, 3), spoken) == 0.0  # constant rewards


def test_the_estimates_of_the_divergence_agree_with_the_exact_one_on_average():
    draw = torch.Generator().manual_seed(0)
    p, q = (torch.randn(6, generator=draw).log_softmax(-1) for _ in range(2))
    tokens = torch.multinomial(p.exp(), 400_000, replacement=True, generator=draw)
    true = float((p.exp() * (p - q)).sum())
    assert float(exact(p, q)) == pytest.approx(true, rel=1e-6)
    for estimate in (k1, k3):
        values = estimate(p[tokens], q[tokens])
        error = float(values.std()) / math.sqrt(len(tokens))
        assert abs(float(values.mean()) - true) < 4 * error
    assert float(k3(p[tokens], q[tokens]).min()) >= 0
