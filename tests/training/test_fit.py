"""The loop: one division, one clip, no update from a bad batch, and models that learn what they are shown."""

import math

import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.data.batches import Batch
from limpid.inference.weights import inference_copy
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.training.fit import clip_gradients, fit
from limpid.training.objectives.next_token import NextToken
from limpid.training.objectives.policy_gradient import PolicyGradient
from limpid.training.optim import OptimSection, build_optimizers

ALONE = World(0, 1, torch.device("cpu"))
CONFIG = LlamaConfig(vocab_size=32, context=16, d_model=32, n_layer=2, n_head=2, n_kv_head=1, head_dim=16, d_ff=64)


class Same:
    """One batch for every step."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __getitem__(self, step: int) -> Batch:
        return self.batch


def some_batch(rows: int = 8, *, uneven: bool = False) -> Batch:
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 32, (rows, 17), generator=draw)
    weights = torch.ones(rows, 16)
    if uneven:
        for row in range(rows):
            weights[row, : 2 * row] = 0.0  # rows of very different weight
    return Batch(ids[:, :-1], ids[:, 1:], weights)


def run(batch: Batch, steps: int, micro_rows: int, kind: str = "adamw", objective=None, model=None):
    model = model or build(CONFIG, seed=0)
    section = OptimSection(kind=kind, lr=3e-3 if kind == "adamw" else 0.02)
    reports = fit(
        model, objective or NextToken(torch.float32), Same(batch),
        build_optimizers(model, section, CONFIG.d_model, torch.float32),
        start=0, steps=steps, schedule=lambda step: 1.0, clip=1.0, micro_rows=micro_rows, seed=0, world=ALONE,
    )  # fmt: skip
    return model, list(reports)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_eight_micro_batches_of_one_row_equal_one_of_eight(kind):
    batch = some_batch(uneven=True)
    whole, reports = run(batch, 3, micro_rows=8, kind=kind)
    split, split_reports = run(batch, 3, micro_rows=1, kind=kind)
    for a, b in zip(reports, split_reports, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-5)
    for p, q in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-4)


def test_the_first_loss_of_an_untrained_model_is_that_of_a_uniform_guess():
    _, reports = run(some_batch(), 1, micro_rows=8)
    assert reports[0].loss == pytest.approx(math.log(32), abs=0.02)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_one_batch_is_learnt_by_heart(kind):
    _, reports = run(some_batch(4), 150, micro_rows=4, kind=kind)
    assert reports[-1].loss < 0.05


def test_a_policy_gradient_learns_which_answers_are_rewarded():
    """Each row's last eight tokens are its answer; even rows were rewarded, odd ones punished."""
    batch = some_batch(8)
    weights, advantages = torch.zeros(8, 16), torch.zeros(8, 16)
    weights[:, 8:] = 1.0
    advantages[0::2, 8:], advantages[1::2, 8:] = 1.0, -1.0
    batch = Batch(batch.inputs, batch.targets, weights, None, advantages)
    model = build(CONFIG, seed=0)
    objective = PolicyGradient(torch.float32, inference_copy(model, torch.float32), kl=0.02)
    run(batch, 40, micro_rows=8, objective=objective, model=model)

    def likelihood() -> torch.Tensor:
        with torch.no_grad():
            logits = model.head(model(batch.inputs))
        chosen = logits.log_softmax(-1).gather(2, batch.targets[..., None]).squeeze(2)
        return chosen[:, 8:].mean(1)

    after = likelihood()
    assert after[0::2].min() > -math.log(32) > after[1::2].max()
    assert objective.measured["kl"] > 0.05


def test_at_the_reference_the_divergence_is_zero_and_the_gradient_that_of_the_reward_alone():
    batch = some_batch(2)
    batch = Batch(batch.inputs, batch.targets, batch.weights, None, torch.ones(2, 16))
    model = build(CONFIG, seed=0)
    reference = inference_copy(model, torch.float32)
    losses = []
    for kl in (0.0, 5.0):
        model.zero_grad()
        objective = PolicyGradient(torch.float32, reference, kl)
        objective(model, batch).backward()
        losses.append(model.blocks[0].feed_forward.down.weight.grad.clone())
        assert objective.measured["kl"] == pytest.approx(0.0, abs=1e-6)
        assert objective.measured["entropy"] == pytest.approx(math.log(32), abs=0.02)
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-4)


def test_a_batch_without_targets_is_refused():
    batch = some_batch()
    with pytest.raises(
        LimpidError, match="step 1: no token of the batch is trained: every target of its 8 rows is masked"
    ):
        run(Batch(batch.inputs, batch.targets, torch.zeros(8, 16)), 1, micro_rows=8)


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_the_batch():
    model = build(CONFIG, seed=0)
    before = [p.detach().clone() for p in model.parameters()]
    broken = lambda model, batch: NextToken(torch.float32)(model, batch) * float("nan")  # noqa: E731
    with pytest.raises(LimpidError, match="step 1: the loss is nan .* number 0 of seed 0"):
        run(some_batch(), 1, micro_rows=8, objective=broken, model=model)
    for p, q in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, q)


def test_clipping_scales_all_gradients_to_the_norm_asked_for():
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(4))]
    parameters[0].grad, parameters[1].grad = torch.full((3,), 3.0), torch.full((4,), 1.0)
    assert clip_gradients(parameters, 2.0) == pytest.approx(math.sqrt(31))
    total = math.sqrt(sum(float(p.grad.square().sum()) for p in parameters))
    assert total == pytest.approx(2.0, rel=1e-4)
