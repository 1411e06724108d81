"""The skip-gram loss and its gradients against NumPy."""

import numpy as np
import torch

from limpid.training.objectives.skip_gram import skip_gram_loss


def test_loss_and_gradient_against_numpy() -> None:
    draw = np.random.default_rng(0)
    centres, contexts, noise = draw.normal(size=(4, 3)), draw.normal(size=(6, 3)), draw.normal(size=(5, 3))
    pairs = [0, 0, 1, 3, 3, 3]

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    expected, gradient = 0.0, np.zeros_like(centres)
    for place, row in enumerate(pairs):
        score = centres[row] @ contexts[place]
        expected -= np.log(sigmoid(score))
        gradient[row] -= (1 - sigmoid(score)) * contexts[place]
        for other in noise:
            expected -= 2 / 5 * np.log(sigmoid(-(centres[row] @ other)))
            gradient[row] += 2 / 5 * sigmoid(centres[row] @ other) * other
    tensors = [torch.tensor(array, requires_grad=True) for array in (centres, contexts, noise)]
    loss = skip_gram_loss(tensors[0], tensors[1], torch.tensor(pairs), tensors[2], 2)
    loss.backward()
    np.testing.assert_allclose(float(loss.detach()), expected, rtol=1e-12)
    assert tensors[0].grad is not None
    np.testing.assert_allclose(tensors[0].grad.numpy(), gradient, rtol=1e-10)
