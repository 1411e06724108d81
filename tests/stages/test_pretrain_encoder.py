"""Pretraining of an encoder by masked tokens, from a recipe."""

from __future__ import annotations

import json

import pytest
import torch
from tests.stages.test_training_run import ALONE, cut_back, weights

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.data.batches import Batch
from limpid.data.masked_batches import MaskedBatches
from limpid.models.bidirectional import Encoder
from limpid.models.encoder import EncoderConfig
from limpid.models.registry import build
from limpid.stages.events import Evaluated, Sampled
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.training.fit import fit
from limpid.training.objectives.masked_token import MaskedToken
from limpid.training.optim import OptimSection, build_optimizers


def encoder_recipe(table: dict) -> Recipe:
    model = table["model"] | {"family": "encoder"}
    return parse(Recipe, table | {"model": model}, "tiny")


def test_an_encoder_is_pretrained_resumed_and_read_again(tmp_path, tiny_table):
    recipe = encoder_recipe(tiny_table)
    whole, part = tmp_path / "whole", tmp_path / "part"
    events = list(pretrain(recipe, whole, ALONE))
    measured = [e.values for e in events if isinstance(e, Evaluated)]
    assert [set(v) for v in measured] == [{"validation_masked_nats", "validation_masked_accuracy"}] * 2
    assert measured[1]["validation_masked_nats"] < measured[0]["validation_masked_nats"]
    (shown, *_) = [e for e in events if isinstance(e, Sampled)]
    assert shown.prompt.count("▁") == 6  # every fifth of a context of 32
    summary = json.loads((whole / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["measures"]) == {"test masked nats", "test masked accuracy"}
    cut_back(whole, part, 4)
    list(pretrain(recipe, part, ALONE, resume=True))
    for p, q in zip(weights(whole), weights(part), strict=True):
        assert torch.equal(p, q)
    assert store.read(whole, Encoder).config.family == "encoder"
    with pytest.raises(LimpidError, match="an encoder, and a decoder is needed"):
        store.read(whole)


def test_one_batch_can_be_overfitted():
    """Every token follows from its place, and each row from the token that is left: only context tells which row."""
    rows = torch.arange(16)[None] + torch.tensor([[0], [20], [40], [60]])

    class Same:
        def __getitem__(self, step: int) -> Batch:
            return Batch(rows, rows, torch.ones(4, 16))

    shape = {"vocab_size": 80, "context": 16, "d_model": 32, "n_layer": 2, "n_head": 2, "head_dim": 16, "d_ff": 64}
    model = build(EncoderConfig.model_validate(shape | {"dropout": 0.0}), seed=0)
    batches = MaskedBatches(Same(), 0, mask=model.config.mask_id, vocab_size=80)
    optim = build_optimizers(model, OptimSection(kind="adamw", lr=3e-3, beta1=0.9, beta2=0.98), 32, torch.float32)
    reports = fit(
        model, MaskedToken(torch.float32), batches, optim,
        start=0, steps=300, schedule=lambda step: 1.0, clip=1.0, micro_rows=4, seed=0, world=ALONE,
    )  # fmt: skip
    losses = [report.loss for report in reports]
    assert losses[0] > 3
    assert sum(losses[-10:]) / 10 < 0.75  # a tenth of what is asked for is hidden behind a random token


def test_the_loss_counts_the_chosen_places_alone():
    shape = {"vocab_size": 30, "context": 8, "d_model": 16, "n_layer": 1, "n_head": 2, "head_dim": 8, "d_ff": 16}
    model = build(EncoderConfig.model_validate(shape | {"dropout": 0.0}), seed=0).eval()
    ids = torch.tensor([[1, 2, 30, 4], [5, 30, 7, 8]])
    targets = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    weights_ = torch.tensor([[0.0, 0, 1, 0], [0, 1, 0, 1]])
    ours = MaskedToken(torch.float32)(model, Batch(ids, targets, weights_))
    logits = model.scores(model(ids))
    losses = -logits.log_softmax(-1).gather(2, targets[:, :, None]).squeeze(2)
    torch.testing.assert_close(ours, losses[0, 2] + losses[1, 1] + losses[1, 3])
