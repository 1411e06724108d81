from __future__ import annotations

import math

import pytest
import torch

from limpid.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_rate_scale_and_gradient(p: float) -> None:
    torch.manual_seed(0)
    x = torch.full((400, 500), 3.0, requires_grad=True)
    y = Dropout(p).train()(x)
    zero = y == 0
    real = round(p * 256) / 256  # one byte decides
    deviation = math.sqrt(real * (1 - real) / x.numel())
    assert abs(float(zero.float().mean()) - real) < 5 * deviation
    torch.testing.assert_close(y[~zero].detach(), torch.full_like(y[~zero], 3 / (1 - real)))
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, zero)
    torch.testing.assert_close(x.grad[~zero], torch.full_like(x.grad[~zero], 1 / (1 - real)))


def test_every_place_is_independent_of_its_neighbours() -> None:
    """Eight bytes come from one 64-bit draw; none of them may lean on another."""
    torch.manual_seed(1)
    kept = (Dropout(0.5).train()(torch.ones(20_000, 8)) != 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(8, dtype=torch.float64)
    assert float(correlation.abs().max()) < 5 / math.sqrt(20_000)
    assert float((kept.mean(0) - 0.5).abs().max()) < 5 * 0.5 / math.sqrt(20_000)


def test_seeded_and_fresh() -> None:
    x, dropout = torch.ones(1000), Dropout(0.3).train()
    torch.manual_seed(5)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(5)
    assert torch.equal(first, dropout(x))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("size", [1, 7, 8, 9])
def test_odd_sizes(size: int) -> None:
    assert Dropout(0.5).train()(torch.ones(size)).shape == (size,)


def test_off_when_evaluating_or_zero() -> None:
    x = torch.randn(64)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x


def test_dtype_stays() -> None:
    assert Dropout(0.5).train()(torch.ones(16, dtype=torch.bfloat16)).dtype == torch.bfloat16
