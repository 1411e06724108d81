"""Distillation against NumPy in double precision: the loss from its formula, the gradient by differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conftest import random_llama

from limpid.data.batches import Batch
from limpid.inference.weights import inference_copy
from limpid.training.objectives import distillation
from limpid.training.objectives.distillation import Distillation
from limpid.training.objectives.next_token import NextToken


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def numpy_loss(z, t, targets, weights, temperature, share):
    """Hinton et al. 2015, section 2, from logits of the student (N, V) and of the teacher."""
    ours, theirs = log_softmax(z / temperature), log_softmax(t / temperature)
    divergence = (np.exp(theirs) * (theirs - ours)).sum(-1)
    cross_entropy = -log_softmax(z)[np.arange(len(z)), targets]
    return float((weights * (share * temperature**2 * divergence + (1 - share) * cross_entropy)).sum())


@pytest.mark.parametrize(
    ("temperature", "share", "cap"), [(1.0, 1.0, 0.0), (2.5, 0.7, 0.0), (2.0, 0.5, 3.0), (3.0, 0.0, 0.0)]
)
def test_loss_and_gradient_are_those_of_numpy(temperature, share, cap, monkeypatch):
    monkeypatch.setattr(distillation, "CHUNK_LOGITS", 1)  # several slices
    draw = np.random.default_rng(0)
    n, d, other_d, v = 70, 5, 4, 11
    hidden, weight = draw.normal(size=(n, d)), draw.normal(size=(v, d))
    shown, other = draw.normal(size=(n, other_d)), draw.normal(size=(v, other_d))
    targets, weights = draw.integers(v, size=n), draw.integers(1, 3, size=n).astype(float)

    def capped(logits):
        return cap * np.tanh(logits / cap) if cap else logits

    def loss(h, w):
        return numpy_loss(capped(h @ w.T), shown @ other.T, targets, weights, temperature, share)

    h, w = (torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (hidden, weight))
    found, _ = distillation._ChunkedDistillation.apply(
        h, w, torch.tensor(shown).float(), torch.tensor(other).float(), torch.tensor(targets),
        torch.tensor(weights).float(), temperature, share, cap, 0.0,
    )  # fmt: skip
    found.backward()
    assert found.item() == pytest.approx(loss(hidden, weight), rel=1e-5)
    step = 1e-6
    for array, gradient in ((hidden, h.grad), (weight, w.grad)):
        for place in [(0, 0), (3, 2), (-1, -1), (9, 4)]:
            moved = []
            for sign in (1, -1):
                array[place] += sign * step
                moved.append(loss(hidden, weight))
                array[place] -= sign * step
            assert float(gradient[place]) == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-4, abs=1e-5)


def some_batch() -> Batch:
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 320, (3, 13), generator=draw)
    weights = (torch.rand(3, 12, generator=draw) > 0.4).float()
    segments = torch.tensor([[1] * 5 + [2] * 4 + [0] * 3] * 3)
    return Batch(ids[:, :-1], ids[:, 1:], weights, segments)


def test_a_student_that_is_the_teacher_has_nothing_to_learn_from_it():
    model = random_llama()
    objective = Distillation(torch.float32, inference_copy(model, torch.float32), 2.0, 1.0)
    loss = objective(model, some_batch())
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-3)
    assert max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None) < 1e-3
    assert objective.measured["teacher_kl"] == pytest.approx(0.0, abs=1e-5)


def test_without_a_share_of_the_teacher_it_is_maximum_likelihood():
    model, teacher = random_llama(), random_llama(1)
    found = Distillation(torch.float32, teacher, 2.0, 0.0)(model, some_batch())
    assert found.item() == pytest.approx(NextToken(torch.float32)(model, some_batch()).item(), rel=1e-5)
