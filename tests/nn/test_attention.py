from __future__ import annotations

import numpy as np
import pytest
import torch

from limpid.nn.attention import Attention, Context, ExplicitKernel, FusedKernel, cache_mask, causal_mask, segment_mask
from limpid.nn.position import rope_tables, rotate


def attention_in_numpy(q: np.ndarray, k: np.ndarray, v: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """One query at a time. q (B, H, T, C); k, v (B, K, S, C); visible (B, T, S)."""
    out = np.zeros_like(q, dtype=np.float64)
    group = q.shape[1] // k.shape[1]
    for b, h, t in np.ndindex(q.shape[:3]):
        keys, values = k[b, h // group][visible[b, t]], v[b, h // group][visible[b, t]]
        scores = keys.astype(np.float64) @ q[b, h, t] / np.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max())
        out[b, h, t] = (weights / weights.sum()) @ values
    return out


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("kind", ["causal", "explicit causal", "segments", "cache"])
def test_both_kernels_against_numpy(kv_heads: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(3)
    T, S = (3, 7) if kind == "cache" else (7, 7)
    q = torch.randn(2, 4, T, 8, generator=generator)
    k, v = torch.randn(2, 2, kv_heads, S, 8, generator=generator)
    visible = np.tril(np.ones((2, S, S), dtype=bool))[:, -T:]
    mask = None
    if kind == "explicit causal":
        mask = causal_mask(T, torch.float32, q.device)
    elif kind == "segments":
        segments = torch.tensor([[0, 0, 1, 1, 1, 2, 2], [5, 5, 5, 5, 5, 5, 6]])
        mask = segment_mask(segments, torch.float32)
        visible = visible & (segments[:, :, None] == segments[:, None, :]).numpy()
    elif kind == "cache":
        slots = torch.tensor([[1, 2, 3], [4, 5, 6]])
        mask = cache_mask(slots, S, torch.float32)
        visible = np.arange(S)[None, None, :] <= slots.numpy()[:, :, None]
    expected = attention_in_numpy(q.numpy(), k.numpy(), v.numpy(), visible)
    for kernel in (ExplicitKernel(0.0), FusedKernel(0.0)):
        np.testing.assert_allclose(kernel(q, k, v, mask).numpy(), expected, atol=1e-6)


def test_kernels_have_the_same_gradients() -> None:
    generator = torch.Generator().manual_seed(4)
    shapes = [(2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8)]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    weight = torch.randn(2, 4, 5, 8, generator=generator)
    gradients = []
    for kernel in (ExplicitKernel(0.0), FusedKernel(0.0)):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        (kernel(*leaves, None) * weight).sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_rotation_against_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 3, 8)).astype(np.float32)
    positions = np.array([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]])
    turns = np.exp(1j * positions[:, :, None, None] * 100.0 ** (-np.arange(4) / 4))  # pair i: base^(-2i/C)
    turned = (x[..., :4] + 1j * x[..., 4:]) * turns
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    cos, sin = rope_tables(torch.from_numpy(positions), 8, 100.0)
    np.testing.assert_allclose(rotate(torch.from_numpy(x), cos, sin).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("near", "far"), [(0, 50), (3, 1000)])
def test_rotation_makes_scores_depend_on_distance_only(near: int, far: int) -> None:
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=generator)

    def score(query_at: int, key_at: int) -> float:
        turned = [rotate(x, *rope_tables(torch.tensor([at]), 16, 1e4)) for x, at in ((q, query_at), (k, key_at))]
        return float((turned[0] * turned[1]).sum())

    assert score(near + 7, near) == pytest.approx(score(far + 7, far), abs=1e-3)
    assert abs(score(near + 7, near) - score(near + 8, near)) > 1e-2
    assert score(near, near) == pytest.approx(float((q * k).sum()), abs=1e-4)


def test_attention_is_blind_to_the_future() -> None:
    attention = Attention(16, 4, 2, 8, qk_norm=True, norm_eps=1e-6, dropout=0.0, output_std=0.1)
    for module in attention.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    out = attention(x, Context(*rope_tables(torch.arange(6), 8, 1e4), None))
    out[0, 2].sum().backward()
    assert x.grad is not None
    touched = x.grad[0].abs().amax(-1) > 0
    assert touched.tolist() == [True, True, True, False, False, False]
