"""The chunked cross-entropy against torch's own, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from limpid.training.objectives import cross_entropy
from limpid.training.objectives.cross_entropy import summed_cross_entropy


def obvious(hidden, weight, targets, weights, z_loss):
    logits = hidden.reshape(-1, hidden.shape[-1]) @ weight.T
    losses = F.cross_entropy(logits, targets.reshape(-1), reduction="none") + z_loss * logits.logsumexp(-1) ** 2
    return (weights.reshape(-1) * losses).sum()


@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("masked", [False, True])
def test_value_and_gradients_are_those_of_the_obvious_way(monkeypatch, z_loss, masked):
    monkeypatch.setattr(cross_entropy, "CHUNK_LOGITS", 64 * 11)  # several chunks, the last one short
    torch.manual_seed(0)
    hidden = torch.randn(3, 50, 8, requires_grad=True)
    weight = torch.randn(11, 8, requires_grad=True)
    targets = torch.randint(0, 11, (3, 50))
    weights = torch.rand(3, 50)
    if masked:
        weights = weights * (torch.rand(3, 50) > 0.5)
    ours = summed_cross_entropy(hidden, weight, targets, weights, z_loss=z_loss)
    (ours / 7).backward()
    gradients = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    theirs = obvious(hidden, weight, targets, weights, z_loss)
    (theirs / 7).backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients[0], hidden.grad)
    torch.testing.assert_close(gradients[1], weight.grad)


def test_without_gradients_the_value_is_the_same():
    torch.manual_seed(0)
    hidden, weight = torch.randn(2, 30, 8), torch.randn(11, 8)
    targets, weights = torch.randint(0, 11, (2, 30)), torch.rand(2, 30)
    with torch.no_grad():
        ours = summed_cross_entropy(hidden, weight, targets, weights)
    torch.testing.assert_close(ours, obvious(hidden, weight, targets, weights, 0.0))
