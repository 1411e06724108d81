"""The loss of policy gradients and its gradient against NumPy, by formulas written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from torch import Tensor, nn

from limpid.data.answer_batch import AnswerBatch
from limpid.models.actor_critic import ActorCritic
from limpid.nn.heads import LanguageModelHead
from limpid.nn.task_heads import ScalarHead
from limpid.training.objectives.kl import AdaptiveKl
from limpid.training.objectives.policy_gradient import PolicyGradient, PolicyLoss, token_logprobs

ROWS, PLACES, VOCABULARY = 5, 32, 7


class Table(nn.Module):
    """A policy whose logits after each token of `answers` are its parameters, so that the gradient by them can be
    written down; every place has an id of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.randn(ROWS, PLACES, VOCABULARY, generator=draw))
        self.head = plain_head(VOCABULARY)

    def forward(self, ids: Tensor, **_: Any) -> Tensor:
        return self.logits.flatten(0, 1)[ids]


def plain_head(width: int) -> LanguageModelHead:
    """A head whose logits are the hidden state."""
    head = LanguageModelHead(width, width, std=0.0)
    head.weight = nn.Parameter(torch.eye(width), requires_grad=False)
    return head


def answers(seed: int = 0) -> AnswerBatch:
    draw = np.random.default_rng(seed)
    weights = np.zeros((ROWS, PLACES))
    for row in range(ROWS):
        weights[row, 3 : 6 + 3 * row] = draw.uniform(0.2, 2)
    shape = (ROWS, PLACES)
    spoken = weights > 0

    def numbers(scale: float) -> Tensor:
        return torch.tensor(draw.normal(size=shape) * scale * spoken, dtype=torch.float32)

    drawn = np.array([True, True, True, True, False])
    return AnswerBatch(
        inputs=torch.arange(ROWS * PLACES).view(shape),
        targets=torch.tensor(draw.integers(VOCABULARY, size=shape)),
        weights=torch.tensor(weights, dtype=torch.float32),
        drawn=torch.tensor(drawn),
        advantages=numbers(1.0),
        logprobs=torch.tensor(-np.log(VOCABULARY) + draw.normal(size=shape) * 0.6 * spoken, dtype=torch.float32),
        reference=torch.tensor(-np.log(VOCABULARY) + draw.normal(size=shape) * 0.6 * spoken, dtype=torch.float32),
        values=numbers(0.5),
        returns=numbers(1.0),
        counts=torch.ones(ROWS),
    )


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def twin(
    z: np.ndarray, other: np.ndarray, batch: AnswerBatch, loss: PolicyLoss, kl: float, exact: bool
) -> tuple[float, np.ndarray, dict[str, float]]:
    """Loss, its gradient by z, and the means over drawn tokens, a token at a time in float64."""
    field = {name: value.numpy().astype(np.float64) for name, value in batch._asdict().items()}
    total, gradient = 0.0, np.zeros_like(z)
    seen: dict[str, list[float]] = {"kl": [], "entropy": [], "clip_fraction": [], "ratio": []}
    for b in range(ROWS):
        for t in range(PLACES):
            w = field["weights"][b, t]
            if w == 0:
                continue
            hot = np.eye(VOCABULARY)[int(field["targets"][b, t])]
            if not field["drawn"][b]:
                p = softmax(z[b, t])
                total -= w * np.log(p @ hot)
                gradient[b, t] += w * (p - hot)
                continue
            p, q = softmax(z[b, t] / loss.temperature), softmax(other[b, t] / loss.temperature)
            log_p = np.log(p @ hot)
            advantage, ratio = field["advantages"][b, t], np.exp(log_p - field["logprobs"][b, t])
            clipped = loss.clip_low > 0 or loss.clip_high > 0
            held = np.clip(ratio, 1 - loss.clip_low, 1 + loss.clip_high) if clipped else ratio
            total -= w * min(ratio * advantage, held * advantage)
            if ratio * advantage <= held * advantage:  # the unclipped one counts, and moves
                gradient[b, t] -= w * advantage * ratio * (hot - p) / loss.temperature
            entropy = -(p * np.log(p)).sum()
            total -= w * loss.entropy * entropy
            gradient[b, t] += w * loss.entropy * p * (np.log(p) + entropy) / loss.temperature
            if exact:
                apart = np.log(p) - np.log(q)
                divergence = (p * apart).sum()
                slope = p * (apart - divergence) / loss.temperature
            else:
                r = np.exp(field["reference"][b, t] - log_p)
                divergence = r - 1 - np.log(r)
                slope = (1 - r) * (hot - p) / loss.temperature
            if loss.kl_in_loss:
                total += w * kl * divergence
                gradient[b, t] += w * kl * slope
            seen["kl"].append(divergence)
            seen["entropy"].append(entropy)
            seen["ratio"].append(ratio)
            seen["clip_fraction"].append(float(clipped and held != ratio))
    return total, gradient, {name: float(np.mean(values)) for name, values in seen.items()}


LOSSES = {
    "clipped, exact": (PolicyLoss(temperature=0.7, entropy=0.02), 0.3, True),
    "clipped, k3": (PolicyLoss(temperature=0.8), 0.3, False),
    "clip higher": (PolicyLoss(clip_low=0.2, clip_high=0.28), 0.0, False),
    "plain ratio, divergence in the reward": (PolicyLoss(clip_low=0, clip_high=0, kl_in_loss=False), 0.3, False),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gradient_and_measures_are_those_of_numpy(name):
    loss, kl, exact = LOSSES[name]
    policy, reference, batch = Table(1), Table(2), answers()
    objective = PolicyGradient(torch.float32, loss, AdaptiveKl(kl), reference if exact else None)
    found = objective(policy, batch)
    found.backward()
    z, other = (table.logits.detach().numpy().astype(np.float64) for table in (policy, reference))
    total, gradient, means = twin(z, other, batch, loss, kl, exact)
    assert float(found.detach()) == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(policy.logits.grad.numpy(), gradient, atol=1e-5)
    measured = objective.measured()
    assert ("kl" in measured) == exact  # k3 of what an older policy drew is no measure
    means = {measure: value for measure, value in means.items() if measure in measured}
    for measure, value in means.items():
        assert measured[measure] == pytest.approx(value, rel=1e-4), measure
    if loss.clip_low:
        assert means["clip_fraction"] > 0.2  # the batch does reach the clip


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_the_value_loss_and_its_gradient_are_those_of_numpy(clip):
    loss = PolicyLoss(kl_in_loss=False, value=0.4, value_clip=clip)
    policy, batch, head = Table(1), answers(), ScalarHead(VOCABULARY)
    with torch.no_grad():
        head.weight.copy_(torch.linspace(-0.5, 0.7, VOCABULARY))
        head.bias.fill_(0.1)
    objective = PolicyGradient(torch.float32, loss, AdaptiveKl(0.0))
    found = objective(ActorCritic(policy, head), batch)
    found.backward()
    z = policy.logits.detach().numpy().astype(np.float64)
    total, gradient, _ = twin(z, z, batch, loss, 0.0, False)
    w = head.weight.detach().numpy().astype(np.float64)[0]
    by_weight = np.zeros(VOCABULARY)
    for b in range(ROWS - 1):  # the last row is given text
        for t in range(PLACES):
            scale = float(batch.weights[b, t]) * loss.value
            if not scale:
                continue
            value, old, goal = z[b, t] @ w + 0.1, float(batch.values[b, t]), float(batch.returns[b, t])
            error, slope = value - goal, 1.0
            if clip:
                held = old + np.clip(value - old, -clip, clip)
                if (held - goal) ** 2 > error**2:
                    error, slope = held - goal, float(abs(value - old) < clip)
            total += scale * 0.5 * error**2
            by_weight += scale * error * slope * z[b, t]
            gradient[b, t] += scale * error * slope * w
    assert float(found.detach()) == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(policy.logits.grad.numpy(), gradient, atol=1e-5)
    np.testing.assert_allclose(head.weight.grad.numpy()[0], by_weight, atol=1e-4)


def test_what_is_measured_leaves_given_text_out():
    policy, batch = Table(1), answers()
    drawn_alone = batch.rows(0, ROWS - 1)
    measures = []
    for rows in (batch, drawn_alone):
        objective = PolicyGradient(torch.float32, PolicyLoss(), AdaptiveKl(0.1), Table(2))
        objective(policy, rows)
        measures.append(objective.measured())
    assert measures[0] == measures[1]


def test_the_model_that_was_started_from_is_no_distance_away():
    model = random_llama(seed=1)
    nothing = torch.zeros(ROWS, PLACES, dtype=torch.int64)
    batch = answers()._replace(inputs=nothing, targets=nothing)
    objective = PolicyGradient(torch.float32, PolicyLoss(), AdaptiveKl(1.0), model)
    objective(model, batch)
    assert abs(objective.measured()["kl"]) < 1e-6


def test_probabilities_are_scored_at_the_temperature_they_were_drawn_at():
    policy, batch = Table(1), answers()
    at_once = token_logprobs(policy, batch, torch.float32, 0.8, ROWS)
    for b, t in ((0, 4), (3, 9)):
        p = softmax(policy.logits.detach().numpy()[b, t].astype(np.float64) / 0.8)
        assert float(at_once[b, t]) == pytest.approx(np.log(p[int(batch.targets[b, t])]), rel=1e-5)
    assert not at_once[batch.weights == 0].any()
    batch = batch._replace(logprobs=at_once)
    objective = PolicyGradient(torch.float32, PolicyLoss(temperature=0.8), AdaptiveKl(0.0), Table(1))
    objective(policy, batch.rows(0, 4))
    assert objective.measured()["ratio"] == pytest.approx(1.0, abs=1e-6)


def test_an_adaptive_coefficient_moves_towards_its_target_by_at_most_two_percent():
    kl = AdaptiveKl(0.1, target=6.0)
    kl.observe(60.0)
    assert kl.coefficient == 0.1  # of this rollout
    kl.advance()
    assert kl.coefficient == pytest.approx(0.1 * (1 + 0.1 * 0.2))
    kl.observe(5.4)
    kl.advance()
    assert kl.coefficient == pytest.approx(0.1 * 1.02 * (1 - 0.1 * 0.1))
    fixed = AdaptiveKl(0.1)
    fixed.observe(60.0)
    fixed.advance()
    assert fixed.coefficient == 0.1
