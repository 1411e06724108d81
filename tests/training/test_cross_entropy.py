"""The chunked cross-entropy against torch's own, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from limpid.training.objectives import cross_entropy
from limpid.training.objectives.cross_entropy import summed_cross_entropy


def obvious(hidden, weight, targets, weights, z_loss, cap=0.0):
    logits = hidden.reshape(-1, hidden.shape[-1]) @ weight.T
    logits = cap * torch.tanh(logits / cap) if cap else logits
    losses = F.cross_entropy(logits, targets.reshape(-1), reduction="none") + z_loss * logits.logsumexp(-1) ** 2
    return (weights.reshape(-1) * losses).sum()


@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("cap", [0.0, 2.0])
@pytest.mark.parametrize("masked", [False, True])
def test_value_and_gradients_are_those_of_the_obvious_way(monkeypatch, z_loss, cap, masked):
    monkeypatch.setattr(cross_entropy, "CHUNK_LOGITS", 64 * 11)  # several chunks, the last one short
    torch.manual_seed(0)
    hidden = torch.randn(3, 50, 8, requires_grad=True)
    weight = torch.randn(11, 8, requires_grad=True)
    targets = torch.randint(0, 11, (3, 50))
    weights = torch.rand(3, 50)
    if masked:
        weights = weights * (torch.rand(3, 50) > 0.5)
    ours = summed_cross_entropy(hidden, weight, targets, weights, z_loss=z_loss, cap=cap)
    (ours / 7).backward()
    gradients = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    theirs = obvious(hidden, weight, targets, weights, z_loss, cap)
    (theirs / 7).backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients[0], hidden.grad)
    torch.testing.assert_close(gradients[1], weight.grad)


@pytest.mark.parametrize("cap", [0.0, 2.0])
def test_without_gradients_the_value_is_the_same(cap):
    torch.manual_seed(0)
    hidden, weight = torch.randn(2, 30, 8), torch.randn(11, 8)
    targets, weights = torch.randint(0, 11, (2, 30)), torch.rand(2, 30)
    with torch.no_grad():
        ours = summed_cross_entropy(hidden, weight, targets, weights, cap=cap)
    torch.testing.assert_close(ours, obvious(hidden, weight, targets, weights, 0.0, cap))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [False, True])
def test_label_smoothing_and_bias_are_torchs(monkeypatch, smoothing, biased):
    monkeypatch.setattr(cross_entropy, "CHUNK_LOGITS", 64 * 11)
    torch.manual_seed(1)
    hidden = torch.randn(3, 50, 8, requires_grad=True)
    weight = torch.randn(11, 8, requires_grad=True)
    bias = torch.randn(11, requires_grad=True) if biased else None
    targets, weights = torch.randint(0, 11, (3, 50)), (torch.rand(3, 50) > 0.3).float()
    leaves = [hidden, weight, *([bias] if bias is not None else [])]
    ours = summed_cross_entropy(hidden, weight, targets, weights, bias=bias, label_smoothing=smoothing)
    gradients = torch.autograd.grad(ours / 7, leaves)
    logits = hidden.reshape(-1, 8) @ weight.T + (0 if bias is None else bias)
    losses = F.cross_entropy(logits, targets.reshape(-1), reduction="none", label_smoothing=smoothing)
    theirs = (weights.reshape(-1) * losses).sum()
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(gradients, torch.autograd.grad(theirs / 7, leaves), strict=True):
        torch.testing.assert_close(mine, other)


def test_what_is_measured_without_gradients_is_the_plain_cross_entropy_with_its_bias():
    torch.manual_seed(2)
    hidden, weight, bias = torch.randn(2, 30, 8), torch.randn(11, 8), torch.randn(11)
    targets, weights = torch.randint(0, 11, (2, 30)), torch.rand(2, 30)
    with torch.no_grad():
        ours = summed_cross_entropy(hidden, weight, targets, weights, bias=bias, label_smoothing=0.3)
    losses = F.cross_entropy((hidden @ weight.T + bias).reshape(-1, 11), targets.reshape(-1), reduction="none")
    torch.testing.assert_close(ours, (weights.reshape(-1) * losses).sum())


def test_a_batch_in_which_nothing_counts_costs_nothing_and_moves_nothing():
    hidden, weight = torch.randn(1, 4, 8, requires_grad=True), torch.randn(11, 8, requires_grad=True)
    loss = summed_cross_entropy(hidden, weight, torch.zeros(1, 4, dtype=torch.int64), torch.zeros(1, 4))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(hidden.grad.abs().sum()) == float(weight.grad.abs().sum()) == 0
