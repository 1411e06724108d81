"""Sampling in visible steps is the sampler's own, to the bit; the steps themselves equal plain NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.inference.sampler import Sampling, draw, shape_distribution
from limpid.inference.shaping import drawn, shape_in_steps

SETTINGS = list(product([0.3, 1.0, 1.7], [0, 1, 5, 4000], [1.0, 0.9, 0.3], [0.0, 0.05, 0.5]))


@pytest.mark.parametrize("vocabulary", [7, 900])
def test_the_steps_end_where_the_sampler_does(vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(vocabulary)
    for temperature, top_k, top_p, min_p in SETTINGS:
        logits = torch.randn(vocabulary, generator=generator) * 3
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        steps, own = shape_in_steps(logits, sampling), shape_distribution(logits[None], sampling)
        assert torch.equal(steps.final, own[0]), sampling
        uniform = torch.rand(1, generator=generator, dtype=torch.float64)
        assert drawn(steps, float(uniform)) == int(draw(own, uniform)[0])


def test_each_step_equals_numpy() -> None:
    logits = torch.randn(60, generator=torch.Generator().manual_seed(1)) * 2
    steps = shape_in_steps(logits, Sampling(temperature=0.8, top_k=20, top_p=0.8, min_p=0.1))
    scaled = logits.numpy().astype(float) / 0.8
    best = np.argsort(-scaled)
    kept = np.exp(scaled - scaled.max()) * np.isin(np.arange(60), best[:20])
    top_k = kept / kept.sum()
    needed = int(np.searchsorted(np.cumsum(top_k[best]), 0.8)) + 1
    top_p = top_k * np.isin(np.arange(60), best[:needed])
    min_p = top_p * (top_p >= top_p.max() * 0.1)
    wanted = [scaled, top_k, top_p, min_p, min_p / min_p.sum()]
    found = [steps.scaled, steps.top_k, steps.top_p, steps.min_p, steps.final]
    for own, step in zip(wanted, found, strict=True):
        np.testing.assert_allclose(step.numpy(), own, atol=1e-6)
    assert steps.order.tolist() == best.tolist()


def test_temperature_0_keeps_the_best_alone() -> None:
    steps = shape_in_steps(torch.tensor([1.0, 3.0, 2.0]), Sampling(temperature=0))
    assert steps.final.tolist() == [0.0, 1.0, 0.0]
    assert drawn(steps, 0.99) == 1


def test_penalties_are_not_shown_by_themselves() -> None:
    with pytest.raises(LimpidError, match="the answer so far"):
        shape_in_steps(torch.zeros(3), Sampling(presence_penalty=1.0))
