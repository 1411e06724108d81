"""The policy gradient against its formula, taken apart with plain torch."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import random_llama

from limpid.data.batches import Batch
from limpid.training.objectives.policy_gradient import PolicyGradient


def batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 320, (3, 13), generator=generator)
    weights = torch.zeros(3, 12)
    weights[:, 5:9] = 1
    return Batch(ids[:, :-1], ids[:, 1:], weights, None, torch.randn(3, 12, generator=generator) * weights)


def test_the_loss_is_minus_advantage_times_log_probability_plus_the_divergence():
    model, reference, rows = random_llama(seed=1), random_llama(seed=2), batch()
    assert rows.advantages is not None
    objective = PolicyGradient(torch.float32, reference, kl=0.3, temperature=0.7)
    loss = objective(model, rows)
    logits, other = (m.head(m(rows.inputs)).detach().double() for m in (model, reference))
    expected, divergence, entropy = 0.0, 0.0, 0.0
    for row in range(3):
        for place in range(5, 9):
            drawn = (logits[row, place] / 0.7).softmax(-1)[rows.targets[row, place]]
            p, q = logits[row, place].softmax(-1), other[row, place].softmax(-1)
            kl = float((p * (p.log() - q.log())).sum())
            expected += 0.3 * kl - float(rows.advantages[row, place]) * float(drawn.log())
            divergence, entropy = divergence + kl, entropy - float((p * p.log()).sum())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert objective.measured["kl"] == pytest.approx(divergence / 12, rel=1e-4)
    assert objective.measured["entropy"] == pytest.approx(entropy / 12, rel=1e-4)


def test_the_model_that_was_started_from_is_no_distance_away():
    model = random_llama(seed=1)
    objective = PolicyGradient(torch.float32, model, kl=1.0)
    objective(model, batch())
    assert abs(objective.measured["kl"]) < 1e-6


def test_a_step_along_the_gradient_makes_good_answers_likelier_and_bad_ones_less():
    model, rows = random_llama(seed=1), batch()
    assert rows.advantages is not None
    gains = torch.zeros_like(rows.weights)
    gains[0], gains[1] = 1.0, -1.0
    rows = rows._replace(advantages=gains * rows.weights)
    objective = PolicyGradient(torch.float32, random_llama(seed=1), kl=0.0)

    def answers() -> list[float]:
        with torch.no_grad():
            logprobs = model.head(model(rows.inputs)).log_softmax(-1)
            chosen = logprobs.gather(2, rows.targets[..., None]).squeeze(2)
            return [float((chosen[row] * rows.weights[row]).sum()) for row in range(3)]

    before = answers()
    objective(model, rows).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 1e-4 * parameter.grad
    after = answers()
    assert after[0] > before[0]
    assert after[1] < before[1]
