"""Every number that a lesson prints, against an outside truth: a textbook's value, torch, SciPy, a published table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

Numbers = Callable[[str, int], list[float]]


def near(values: object, digits: int = 2) -> object:
    """Numbers as a lesson rounds them."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return pytest.approx(flat.tolist(), abs=0.51 * 10**-digits)


def test_softmax(numbers: Numbers) -> None:
    assert numbers("softmax", 1) == [0.66, 0.24, 0.10, 1.0]  # the textbook's
    scores = torch.tensor([2.0, 1.0, 0.1])
    rows = [[t, *torch.softmax(scores / t, 0).tolist()] for t in (0.5, 1.0, 2.0)]
    assert numbers("softmax", 2) == near(rows)
    bits = torch.distributions.Categorical(logits=scores).entropy().item() / np.log(2)
    assert numbers("softmax", 3) == near([1, bits, 3, np.log2(3)])


def test_layer_norm(numbers: Numbers) -> None:
    assert numbers("layer-norm", 1) == [2.5, 1.25, -1.34, -0.45, 0.45, 1.34]
    on_paper = [-1.51, -0.175, 1.175, 2.51]  # the article's -0.18 and 1.18, not yet rounded again
    assert numbers("layer-norm", 2) == [-1.51, -0.17, 1.17, 2.51, *on_paper]
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    layer = F.layer_norm(x, (4,), torch.full((4,), 1.5), torch.full((4,), 0.5))
    assert numbers("layer-norm", 3) == near([*layer, *F.rms_norm(x, (4,))])


def test_attention(numbers: Numbers) -> None:
    # Karim 2019, "Illustrated: Self-Attention": its keys, queries and values, by hand.
    q, k = [[1, 0, 2], [2, 2, 2], [2, 1, 3]], [[0, 1, 1], [4, 4, 0], [2, 3, 1]]
    v = [[1, 2, 3], [2, 8, 0], [2, 6, 3]]
    assert numbers("attention", 1) == near([q, k, v])
    scores = torch.tensor(q).float() @ torch.tensor(k).float().T / 3**0.5
    assert numbers("attention", 2) == near(scores)
    mixed = F.scaled_dot_product_attention(*(torch.tensor(one).float()[None] for one in (q, k, v)))[0]
    assert numbers("attention", 3) == near(mixed)
    assert numbers("attention", 4) == []  # but the same: True
