from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.inference.sampler import Sampling, choose, draw, penalise_repeats, shape_distribution


def shaped_in_numpy(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """One row, one filter after the other, in the words of their papers."""
    scores = logits.astype(np.float64) / sampling.temperature
    order = np.argsort(-scores)
    kept = set(order.tolist())
    if sampling.top_k:
        kept = set(order[: sampling.top_k].tolist())

    def probabilities() -> np.ndarray:
        p = np.array([np.exp(scores[i] - scores.max()) if i in kept else 0.0 for i in range(len(scores))])
        return p / p.sum()

    p = probabilities()
    if sampling.top_p < 1:
        mass, nucleus = 0.0, set()
        for i in order.tolist():
            if mass >= sampling.top_p:
                break
            nucleus.add(i)
            mass += p[i]
        kept &= nucleus
    p = probabilities()
    kept = {i for i in kept if p[i] >= sampling.min_p * p.max()}
    return probabilities()


FILTERS = [
    {},
    {"temperature": 0.5},
    {"temperature": 2.5},
    {"top_k": 1},
    {"top_k": 7},
    {"top_k": 1000},
    {"top_p": 0.3},
    {"top_p": 0.95},
    {"top_p": 1e-6},
    {"min_p": 0.1},
    {"min_p": 1.0},
    {"temperature": 1.7, "top_k": 30, "top_p": 0.8, "min_p": 0.05},
]


@pytest.mark.parametrize("settings", FILTERS, ids=str)
@pytest.mark.parametrize(("size", "spread"), [(50, 2.0), (600, 0.1), (600, 4.0)], ids=["small", "flat", "peaked"])
def test_filters_against_numpy(settings: dict[str, float], size: int, spread: float) -> None:
    sampling = Sampling(**({"temperature": 1.0} | settings))
    logits = np.random.default_rng(1).normal(scale=spread, size=(5, size)).astype(np.float32)
    expected = np.stack([shaped_in_numpy(row, sampling) for row in logits])
    shaped = shape_distribution(torch.from_numpy(logits), sampling).numpy()
    assert ((shaped > 0) == (expected > 0)).all()
    np.testing.assert_allclose(shaped, expected, atol=1e-6)


def test_top_p_counts_the_token_that_reaches_it() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    for p, kept in [(0.4, 1), (0.6, 2), (0.8, 3), (0.95, 4)]:
        shaped = shape_distribution(logits, Sampling(temperature=1, top_p=p))
        assert int((shaped > 0).sum()) == kept


def test_drawn_frequencies_are_the_probabilities() -> None:
    draws = 60_000
    probabilities = torch.tensor([0.3, 0.0, 0.2, 0.05, 0.01, 0.4, 0.04, 0.0])
    uniform = torch.from_numpy(np.random.default_rng(0).random(draws))
    tokens = draw(probabilities.expand(draws, -1), uniform)
    counts = torch.bincount(tokens, minlength=8).double()
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible].double() * draws
    chi_square = float(((counts[possible] - expected) ** 2 / expected).sum())
    assert chi_square < 20.5  # 5 degrees of freedom: exceeded once in a thousand


@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_never_draw_what_is_impossible(number: float) -> None:
    probabilities = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    tokens = draw(probabilities, torch.full((2,), number, dtype=torch.float64))
    assert tokens.tolist() == [1 if number == 0 else 3, 2]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6))
def test_draw_against_numpy(numbers: list[float]) -> None:
    p = np.random.default_rng(2).dirichlet(np.ones(40)).astype(np.float32)
    tokens = draw(torch.from_numpy(np.tile(p, (len(numbers), 1))), torch.tensor(numbers, dtype=torch.float64))
    cumulative = np.cumsum(p.astype(np.float64))
    for number, token in zip(numbers, tokens.tolist(), strict=True):
        below = cumulative[token - 1] if token else 0.0
        assert below - 1e-5 <= number <= cumulative[token] + 1e-5


def test_temperature_zero_takes_the_best() -> None:
    logits = torch.tensor([[1.0, 5.0, 2.0], [0.1, 0.0, -1.0]])
    for temperature in (0, 1e-30):
        tokens, logprobs = choose(logits, Sampling(temperature=temperature), torch.tensor([0.99, 0.99]))
        assert tokens.tolist() == [1, 0]
        assert logprobs.tolist() == [0, 0]


def test_logprob_is_that_of_the_shaped_distribution() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    token, logprob = choose(logits, Sampling(temperature=1, top_k=2), torch.tensor([0.9]))
    assert token.item() == 1
    assert float(logprob.exp()) == pytest.approx(0.375)


def test_repetition_penalty() -> None:
    logits = torch.tensor([[2.0, -2.0, 3.0, -3.0]])
    seen = torch.tensor([[True, True, False, False]])
    assert penalise_repeats(logits, seen, 2.0).tolist() == [[1.0, -4.0, 3.0, -3.0]]
    assert penalise_repeats(logits, seen, 1.0) is logits


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", -1), ("top_p", 0), ("top_p", 1.5), ("top_k", -1), ("max_tokens", 0), ("seed", -1), ("min_p", 2)],
)
def test_settings_out_of_range_are_refused(key: str, value: float) -> None:
    with pytest.raises(LimpidError, match=key):
        parse(Sampling, {key: value}, "sampling")
