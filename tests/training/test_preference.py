"""Every loss over pairs of answers against NumPy: the number, and its gradient at the logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from torch import nn

from limpid.data.preference_batches import PreferenceBatch
from limpid.parallel.environment import World
from limpid.training.objectives.bradley_terry import summed_bradley_terry
from limpid.training.objectives.preference import PreferenceLoss

V, WIDTH = 11, 10
ALONE = World(0, 1, torch.device("cpu"))
Array = Any


class Table(nn.Module):
    """A model whose logits for each text of a batch are its parameters, so that its gradient is the loss's at them."""

    def __init__(self, known: PreferenceBatch, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.texts = known.inputs.flatten(0, 1)[:, :-1]
        self.logits = nn.Parameter(torch.randn(*self.texts.shape, V, generator=draw))
        self.head = nn.Identity()

    def forward(self, ids: torch.Tensor, **_: Any) -> torch.Tensor:
        same = (ids[:, None] == self.texts).all(-1)
        assert (same.sum(1) == 1).all()
        return self.logits[same.int().argmax(1)]


def batch(sequences: int) -> PreferenceBatch:
    draw = torch.Generator().manual_seed(5)
    starts = torch.tensor([[3, 3, 3], [2, 2, 2], [4, 4, 4], [1, 1, 1]])[:, :sequences]
    lengths = torch.tensor([[6, 9, 5], [3, 10, 8], [10, 6, 9], [9, 2, 4]])[:, :sequences]
    ids = torch.randint(0, V, (4, sequences, WIDTH), generator=draw)
    none = torch.zeros(0, 1, dtype=torch.int64)
    return PreferenceBatch(ids, lengths, starts, none, none, torch.zeros(0, 1))


def log_softmax(x: Array) -> Array:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def twin(loss: str, logits: Array, reference: Array, b: PreferenceBatch, beta: float, smoothing: float) -> tuple:
    """(loss, gradient at the logits), written out from the papers, an answer at a time."""
    logs, before = log_softmax(logits), log_softmax(reference)
    sequences = b.inputs.shape[1]
    s, r, n = (np.zeros((4, sequences)) for _ in range(3))
    for i in range(4):
        for k in range(sequences):
            for place in range(int(b.starts[i, k]), int(b.lengths[i, k])):
                token = int(b.inputs[i, k, place])
                s[i, k] += logs[i * sequences + k, place - 1, token]
                r[i, k] += before[i * sequences + k, place - 1, token]
                n[i, k] += 1
    h = s - r
    d = np.zeros_like(s)  # the loss's derivative by s
    if loss == "dpo":
        x = beta * (h[:, 0] - h[:, 1])
        total = (-(1 - smoothing) * np.log(sigmoid(x)) - smoothing * np.log(sigmoid(-x))).sum()
        slope = beta * (-(1 - smoothing) * sigmoid(-x) + smoothing * sigmoid(x))
        d[:, 0], d[:, 1] = slope, -slope
    elif loss == "ipo":
        x = h[:, 0] - h[:, 1] - 1 / (2 * beta)
        total = (x**2).sum()
        d[:, 0], d[:, 1] = 2 * x, -2 * x
    elif loss == "kto":
        z = max(0.0, h[:, 2].mean())
        good, bad = sigmoid(beta * (h[:, 0] - z)), sigmoid(beta * (z - h[:, 1]))
        total = ((1 - good) + (1 - bad)).sum() / 2
        d[:, 0], d[:, 1] = -beta * good * (1 - good) / 2, beta * bad * (1 - bad) / 2
    else:
        m = s[:, :2] / n[:, :2]
        odds = m - np.log(1 - np.exp(m))
        x = odds[:, 0] - odds[:, 1]
        total = (-m[:, 0] - beta * np.log(sigmoid(x))).sum()
        by_odds = -beta * sigmoid(-x)
        by_m = by_odds[:, None] * np.array([1, -1]) / (1 - np.exp(m))
        by_m[:, 0] -= 1
        d[:, :2] = by_m / n[:, :2]
    gradient = np.zeros_like(logits)
    for i in range(4):
        for k in range(sequences):
            for place in range(int(b.starts[i, k]), int(b.lengths[i, k])):
                row, at = i * sequences + k, place - 1
                gradient[row, at] -= d[i, k] * np.exp(logs[row, at])
                gradient[row, at, int(b.inputs[i, k, place])] += d[i, k]
    return total, gradient, h


@pytest.mark.parametrize(
    ("loss", "beta", "smoothing"),
    [("dpo", 0.1, 0.0), ("dpo", 0.5, 0.2), ("ipo", 0.2, 0.0), ("kto", 0.3, 0.0), ("orpo", 0.25, 0.0)],
)
def test_the_loss_and_its_gradient_equal_numpys(loss: Any, beta: float, smoothing: float) -> None:
    sequences = 3 if loss == "kto" else 2
    pairs = batch(sequences)
    model, reference = Table(pairs, 1), Table(pairs, 2)
    objective = PreferenceLoss(torch.float32, None if loss == "orpo" else reference, loss, beta, smoothing)  # type: ignore[arg-type]
    objective.look(model, [pairs.rows(0, 1), pairs.rows(1, 4)], ALONE)  # type: ignore[arg-type]
    found = sum(objective(model, part) for part in (pairs.rows(0, 3), pairs.rows(3, 4)))  # type: ignore[arg-type]
    assert isinstance(found, torch.Tensor)
    found.backward()
    numbers = model.logits.detach().double().numpy()
    expected, gradient, h = twin(loss, numbers, reference.logits.detach().double().numpy(), pairs, beta, smoothing)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert model.logits.grad is not None
    np.testing.assert_allclose(model.logits.grad.numpy(), gradient, rtol=1e-5, atol=1e-5)
    assert np.abs(gradient).max() > 1e-3
    assert reference.logits.grad is None
    if loss != "orpo":
        measured = objective.measured()
        assert measured["margin"] == pytest.approx(beta * (h[:, 0] - h[:, 1]).mean(), rel=1e-4)
        assert measured["accuracy"] == (h[:, 0] > h[:, 1]).mean()
        assert measured["chosen_reward"] == pytest.approx(beta * h[:, 0].mean(), rel=1e-4)
        assert measured["length"] == pytest.approx((pairs.lengths - pairs.starts)[:, 0].float().mean())
        assert objective.measured() == {}  # each step tells of itself


def test_the_divergence_is_that_of_whole_distributions() -> None:
    pairs = batch(2)
    model, reference = Table(pairs, 1), Table(pairs, 2)
    objective = PreferenceLoss(torch.float32, reference)  # type: ignore[arg-type]
    objective(model, pairs)  # type: ignore[arg-type]
    p, q = (log_softmax(m.logits.detach().double().numpy()) for m in (model, reference))
    total = tokens = 0.0
    for i in range(4):
        for k in range(2):
            for place in range(int(pairs.starts[i, k]), int(pairs.lengths[i, k])):
                own, other = p[2 * i + k, place - 1], q[2 * i + k, place - 1]
                total += float((np.exp(own) * (own - other)).sum())
                tokens += 1
    assert objective.measured()["kl"] == pytest.approx(total / tokens, rel=1e-5)


def real_batch(sequences: int = 2) -> PreferenceBatch:
    pairs = batch(sequences)
    text = torch.randint(0, V, (2, 8), generator=torch.Generator().manual_seed(1))
    return pairs._replace(
        text_inputs=text[:, :-1], text_targets=text[:, 1:], text_weights=torch.full((2, 7), 4 * 0.5 / 14)
    )


def test_at_the_start_the_policy_is_its_reference() -> None:
    """Loss log 2, no margin, no divergence: log-probabilities of trainer and reference are on par."""
    model, reference = random_llama(seed=1), random_llama(seed=1)
    objective = PreferenceLoss(torch.float32, reference, "dpo", 0.1)
    assert float(objective(model, batch(2)).detach()) == pytest.approx(4 * np.log(2), rel=1e-5)
    measured = objective.measured()
    assert measured["margin"] == pytest.approx(0, abs=1e-5)
    assert measured["kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", ["dpo", "ipo", "kto", "orpo"])
def test_micro_batches_add_up_to_the_whole(loss: Any) -> None:
    model, reference, whole = random_llama(seed=1), random_llama(seed=2), real_batch(3 if loss == "kto" else 2)
    objective = PreferenceLoss(torch.float32, None if loss == "orpo" else reference, loss, 0.1, imitation=0.3)
    objective.look(model, [whole], ALONE)
    assert (objective.baseline > 0) == (loss == "kto")
    objective(model, whole).backward()
    expected = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    parts = [whole.rows(at, at + 1) for at in range(4)]
    assert sum(len(part.text_inputs) for part in parts) == 2
    assert sum(part.total_weight for part in parts) == whole.total_weight == 4
    objective.look(model, parts, ALONE)
    for part in parts:
        objective(model, part).backward()
    for found, wanted in zip((p.grad for p in model.parameters() if p.grad is not None), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_text_and_imitation_are_added_at_their_weights() -> None:
    model, reference, whole = random_llama(seed=1), random_llama(seed=2), real_batch()
    none = torch.zeros(0, 1, dtype=torch.int64)
    bare = whole._replace(text_inputs=none, text_targets=none, text_weights=torch.zeros(0, 1))
    plain = PreferenceLoss(torch.float32, reference)
    with torch.no_grad():
        logits = model.head(model(whole.text_inputs)).double()
        text = nn.functional.cross_entropy(logits.flatten(0, 1), whole.text_targets.flatten())
        added = float(plain(model, whole) - plain(model, bare))
        assert added == pytest.approx(4 * 0.5 * float(text), rel=1e-4)
        nll = 0.0
        for ids, start, length in zip(whole.inputs[:, 0], whole.starts[:, 0], whole.lengths[:, 0], strict=True):
            tokens = model.head(model(ids[None, :length])).double()[0, start - 1 : length - 1]
            nll += float(nn.functional.cross_entropy(tokens, ids[start:length]))
        imitating = PreferenceLoss(torch.float32, reference, imitation=0.3)
        assert float(imitating(model, bare) - plain(model, bare)) == pytest.approx(0.3 * nll, rel=1e-4)


@pytest.mark.parametrize("loss", ["dpo", "ipo", "kto", "orpo"])
def test_one_batch_can_be_overfitted(loss: Any) -> None:
    model, reference = random_llama(seed=1), random_llama(seed=1)
    pairs = batch(3 if loss == "kto" else 2)
    objective = PreferenceLoss(torch.float32, None if loss == "orpo" else reference, loss, 0.5)
    optim = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optim.zero_grad()
        objective.look(model, [pairs], ALONE)
        found = objective(model, pairs)
        found.backward()
        optim.step()
        losses.append(float(found.detach()))
    assert losses[-1] < 0.5 * losses[0]
    objective.measured()
    objective(model, pairs)
    assert objective.measured()["accuracy"] == 1.0


def test_certain_answers_give_no_infinite_odds() -> None:
    pairs = batch(2)
    model = Table(pairs, 1)
    with torch.no_grad():  # every token of the first answer is certain
        model.logits.zero_()
        for place in range(3, 6):
            model.logits[0, place - 1, pairs.inputs[0, 0, place]] = 200.0
    found = PreferenceLoss(torch.float32, None, "orpo", 0.25)(model, pairs)  # type: ignore[arg-type]
    found.backward()
    assert model.logits.grad is not None
    assert torch.isfinite(found)
    assert torch.isfinite(model.logits.grad).all()


def test_the_reward_models_loss_and_gradient_equal_numpys() -> None:
    draw = np.random.default_rng(0)
    rewards = draw.normal(size=(7, 2)) * 3
    x, total = rewards[:, 0] - rewards[:, 1], rewards.sum(1)
    expected = (np.log1p(np.exp(-x)) + 0.05 * total**2).sum()
    slope = -sigmoid(-x)
    gradient = np.stack([slope + 0.1 * total, -slope + 0.1 * total], axis=1)
    given = torch.tensor(rewards, dtype=torch.float32, requires_grad=True)
    found = summed_bradley_terry(given, 0.05)
    found.backward()
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    assert given.grad is not None
    np.testing.assert_allclose(given.grad.numpy(), gradient, rtol=1e-5, atol=1e-5)
