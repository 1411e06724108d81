"""Optimizers and schedules against what their papers say."""

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from torch import nn

from limpid.training.optim import Muon, OptimSection, build_optimizers, orthogonalise
from limpid.training.schedule import ScheduleSection, factor


@pytest.mark.parametrize("shape", [(4, 16, 16), (2, 8, 32), (3, 32, 8)])
def test_orthogonalising_moves_singular_values_by_the_quintic_and_keeps_singular_vectors(shape):
    torch.manual_seed(0)
    stack = torch.randn(shape)
    out = orthogonalise(stack, torch.float32)
    for before, after in zip(stack.numpy(), out.numpy(), strict=True):
        u, values, vt = np.linalg.svd(before, full_matrices=False)
        values = values / np.linalg.norm(before)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        np.testing.assert_allclose(after, u @ np.diag(values) @ vt, atol=2e-4)
        assert np.median(values) > 0.65
        assert values.max() < 1.25


def test_muon_stacks_alike_matrices_and_gives_each_what_it_would_get_alone():
    torch.manual_seed(0)
    together = [nn.Parameter(torch.randn(6, 4)) for _ in range(3)] + [nn.Parameter(torch.randn(4, 4))]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    gradients = [torch.randn_like(p) for p in together]
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "dtype": torch.float32}
    joint = Muon(together, **settings)
    single = [Muon([p], **settings) for p in alone]
    for _ in range(3):
        for p, q, g in zip(together, alone, gradients, strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        joint.step()
        for optimizer in single:
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)


def test_stable_schedule_rises_stays_and_falls():
    at = factor(ScheduleSection(kind="stable", warmup_steps=4, decay=0.5, floor=0.0), 20)
    assert [at(s) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert all(at(s) == 1.0 for s in range(4, 10))
    assert [at(s) for s in range(10, 20)] == pytest.approx([(20 - s) / 10 for s in range(10, 20)])


def test_cosine_schedule_is_half_way_down_in_the_middle_and_ends_at_its_floor():
    at = factor(ScheduleSection(kind="cosine", warmup_steps=10, floor=0.1), 110)
    assert at(10) == 1.0
    assert at(60) == pytest.approx(0.55)
    assert at(110) == pytest.approx(0.1)
    assert all(at(s + 1) <= at(s) for s in range(10, 109))


@pytest.mark.parametrize("tied", [True, False])
def test_a_table_that_is_also_the_head_is_trained_at_the_heads_rate(tied):
    model = random_llama(tie_embeddings=tied)
    _, adamw = build_optimizers(model, OptimSection(embedding_lr=0.2, head_lr=0.004), 768, torch.float32).parts
    rates = {id(p): group["lr"] for group in adamw.param_groups for p in group["params"]}
    assert rates[id(model.embedding.weight)] == (0.004 if tied else 0.2)
    assert rates[id(model.head.weight)] == 0.004
