"""Ablation and patching: against models whose weights were edited by hand, and transformers run with hooks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.encoder_decoders import BART, MARIAN, random_transformer
from tests.models.references import reference
from tests.models.variants import random_decoder

from limpid.core.errors import LimpidError
from limpid.inspection.parts import Part, parse_part
from limpid.inspection.surgery import patch_each
from limpid.inspection.trace import trace

IDS = [3, 5, 9, 2, 7, 11, 3, 5, 40, 41, 2, 7]
OTHER = [3, 5, 9, 60, 7, 11, 3, 5, 40, 41, 2, 7]
DECODERS = ["gpt1", "gpt2", "qwen2", "qwen3", "mistral", "speedrun", "mixtral"]


def logits_of(model: Any, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model.head(model(torch.tensor([ids])))[0, -1].float().numpy()


def translated(model: Any, source: list[int], target: list[int]) -> np.ndarray:
    with torch.no_grad():
        start = [model.config.start_token, *target]
        hidden = model(torch.tensor([source]), torch.tensor([len(source)]), torch.tensor([start]))
        return model.head(hidden)[0, -1].float().numpy()


def zero_head(attention: Any, head: int) -> None:
    width = attention.head_dim
    attention.output.weight[:, head * width : (head + 1) * width] = 0


def zero_linear(linear: Any) -> None:
    linear.weight.zero_()
    if linear.bias is not None:
        linear.bias.zero_()


@pytest.mark.parametrize("name", DECODERS)
def test_taking_parts_out_is_editing_the_weights(name: str) -> None:
    model = random_decoder(name, 3)
    mine = trace(model, IDS)
    dense = name != "mixtral"
    edits: dict[tuple[str, ...], Any] = {
        ("head:1.2",): lambda m: zero_head(m.blocks[1].attention, 2),
        ("head:0.0", "head:0.3", "1.1"): lambda m: [
            zero_head(m.blocks[0].attention, 0), zero_head(m.blocks[0].attention, 3),
            zero_head(m.blocks[1].attention, 1),
        ],
        ("attn:2",): lambda m: zero_linear(m.blocks[2].attention.output),
    }  # fmt: skip
    if dense:
        edits |= {
            ("neuron:1.7",): lambda m: m.blocks[1].feed_forward.down.weight[:, 7].zero_(),
            ("mlp:0", "head:2.1"): lambda m: [
                zero_linear(m.blocks[0].feed_forward.down), zero_head(m.blocks[2].attention, 1),
            ],
            ("layer:1",): lambda m: [
                zero_linear(m.blocks[1].feed_forward.down), zero_linear(m.blocks[1].attention.output),
            ],
        }  # fmt: skip
    else:
        edits[("mlp:1",)] = lambda m: m.blocks[1].feed_forward.experts.down.zero_()
    for parts, edit in edits.items():
        edited = copy.deepcopy(model)
        with torch.no_grad():
            edit(edited)
        effect = mine.ablate(*parts)
        assert np.abs(effect.logits_after - logits_of(edited, IDS)).max() <= 1e-5, parts
        assert np.array_equal(effect.logits_before, mine.logits())
        assert np.abs(effect.logits_after - effect.logits_before).max() > 1e-4


@pytest.mark.parametrize("config", [MARIAN, BART | {"norm": "pre"}], ids=["post", "pre"])
def test_taking_parts_out_of_an_encoder_decoder(config: dict[str, Any]) -> None:
    model = random_transformer(3, **config)
    mine = trace(model, IDS, target=[4, 5, 6])
    edits: dict[tuple[str, ...], Any] = {
        ("encoder/head:1.2",): lambda m: zero_head(m.encoder.blocks[1].attention, 2),
        ("cross_head:1.3",): lambda m: zero_head(m.decoder.blocks[1].cross_attention, 3),
        ("cross_attn:0", "encoder/mlp:0", "decoder/head:2.0"): lambda m: [
            zero_linear(m.decoder.blocks[0].cross_attention.output), zero_linear(m.encoder.blocks[0].feed_forward.down),
            zero_head(m.decoder.blocks[2].attention, 0),
        ],
        ("layer:1",): lambda m: [
            zero_linear(m.decoder.blocks[1].attention.output), zero_linear(m.decoder.blocks[1].cross_attention.output),
            zero_linear(m.decoder.blocks[1].feed_forward.down),
        ],
    }  # fmt: skip
    for parts, edit in edits.items():
        edited = copy.deepcopy(model)
        with torch.no_grad():
            edit(edited)
        assert np.abs(mine.ablate(*parts).logits_after - translated(edited, IDS, [4, 5, 6])).max() <= 2e-5, parts


def test_mean_ablation_in_transformers() -> None:
    """gpt2 with a neuron and a head held at their means: transformers' model with hooks of its own."""
    model = random_decoder("gpt2", 4)
    mine = trace(model, IDS)
    theirs = reference(model)
    block = theirs.transformer.h[1]

    def head_mean(_: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (z,) = args  # (1, T, H C)
        z = z.clone()
        z[..., 16:24] = z[..., 16:24].mean(1, keepdim=True)
        return (z,)

    def neuron_mean(_: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        neurons = args[0].clone()
        neurons[..., 7] = float(mine["blocks.1.mlp.hook_post"][:, 7].mean())
        return (neurons,)

    block.attn.c_proj.register_forward_pre_hook(head_mean)
    block.mlp.c_proj.register_forward_pre_hook(neuron_mean)
    with torch.no_grad():
        wanted = theirs(torch.tensor([IDS])).logits[0, -1].numpy()
    assert np.abs(mine.ablate("head:1.2", "neuron:1.7", how="mean").logits_after - wanted).max() <= 1e-5


@pytest.mark.parametrize("name", ["gpt1", "gpt2", "qwen3", "speedrun"])
def test_patching_everything_is_the_other_text(name: str) -> None:
    model = random_decoder(name, 5)
    corrupted, clean = trace(model, OTHER), trace(model, IDS)
    assert np.abs(corrupted.patch(clean, "resid:2").logits_after - clean.logits()).max() <= 1e-5
    last = corrupted.patch(clean, "resid:2", places=[len(IDS) - 1])
    assert np.abs(last.logits_after - clean.logits()).max() <= 1e-5
    none = corrupted.patch(clean, "resid:0", places=[0, 1, 2])  # before the place at which they differ
    assert np.abs(none.logits_after - corrupted.logits()).max() <= 1e-5


def test_patching_in_transformers() -> None:
    """qwen3: the residual stream behind layer 0 at two places, put in by a hook on transformers' own model."""
    model = random_decoder("qwen3", 6)
    corrupted, clean = trace(model, OTHER), trace(model, IDS)
    theirs = reference(model)
    with torch.no_grad():
        states = theirs(torch.tensor([IDS]), output_hidden_states=True).hidden_states[1]

    def put(_: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        out = out.clone()
        out[:, [3, 6]] = states[:, [3, 6]]
        return out

    theirs.model.layers[0].register_forward_hook(put)
    with torch.no_grad():
        wanted = theirs(torch.tensor([OTHER])).logits[0, -1].numpy()
    mine = corrupted.patch(clean, "resid:0", places=[3, 6])
    assert np.abs(mine.logits_after - wanted).max() <= 1e-5
    assert np.abs(mine.logits_after - mine.logits_before).max() > 1e-3


def test_a_sweep_is_one_patch_after_the_other() -> None:
    model = random_decoder("gpt2", 7)
    corrupted, clean = trace(model, OTHER), trace(model, IDS)

    def difference(logits: np.ndarray) -> float:
        return float(logits[5] - logits[9])

    low, high = difference(corrupted.logits()), difference(clean.logits())
    streams = patch_each(clean, corrupted, 5, 9)
    assert streams.recovered.shape == (3, len(IDS))
    assert (streams.clean, streams.corrupted) == (high, low)
    for layer, place in ((0, 3), (1, 5), (2, 11)):
        one = difference(corrupted.patch(clean, f"resid:{layer}", places=[place]).logits_after)
        assert streams.recovered[layer, place] == pytest.approx((one - low) / (high - low), abs=1e-4)
    assert np.allclose(streams.recovered[:, :3], 0, atol=1e-4)
    assert streams.recovered[2, -1] == pytest.approx(1, abs=1e-4)
    heads = patch_each(clean, corrupted, 5, 9, kind="head")
    one = difference(corrupted.patch(clean, "head:1.2").logits_after)
    assert heads.recovered.shape == (3, 4)
    assert heads.recovered[1, 2] == pytest.approx((one - low) / (high - low), abs=1e-4)


def test_divergence_and_changes() -> None:
    mine = trace(random_decoder("gpt2", 8), IDS)
    effect = mine.ablate("layer:1")
    p, q = (np.exp(x.astype(np.float64)) for x in (effect.logits_before, effect.logits_after))
    p, q = p / p.sum(), q / q.sum()
    assert effect.divergence == pytest.approx((p * np.log2(p / q)).sum(), abs=1e-6)
    changes = effect.changes(4)
    assert len(changes) == 4
    assert all(c.before == pytest.approx(p[c.token_id]) and c.after == pytest.approx(q[c.token_id]) for c in changes)
    sizes = [abs(c.after - c.before) for c in changes]
    assert sizes == sorted(sizes, reverse=True)


def test_parts_as_they_are_written() -> None:
    assert parse_part("head:2.3") == parse_part("2.3") == parse_part(" 2.3 ") == Part("head", 2, 3)
    assert parse_part("2") == Part("layer", 2)
    assert parse_part("encoder/neuron:0.40") == Part("neuron", 0, 40, "encoder")
    for text in ("head:2.3", "mlp:1", "encoder/cross_head:0.1"):
        assert str(parse_part(text)) == text


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("gpt2", "nonsense", "'nonsense' is no part of a model; write it as head:LAYER.HEAD"),
        ("gpt2", "haed:0.1", "has no part of kind 'haed'. Did you mean 'head'"),
        ("gpt2", "head:1", "'head:1': write it as head:LAYER.NUMBER, for instance head:0.0."),
        ("gpt2", "mlp:1.2", "'mlp:1.2': write it as mlp:LAYER, for instance mlp:0."),
        ("gpt2", "head:3.0", "there is no layer 3; this model has layers 0 to 2"),
        ("gpt2", "head:0.4", "there is no head 4; a layer has 0 to 3"),
        ("gpt2", "neuron:0.56", "there is no neuron 56; a layer has 0 to 55"),
        ("gpt2", "cross_attn:0", "look at no source"),
        ("gpt2", "encoder/mlp:0", "no stack 'encoder'"),
        ("mixtral", "neuron:1.0", "mixture of experts; take mlp:1 as a whole"),
    ],
)
def test_parts_that_are_not_there(name: str, part: str, message: str) -> None:
    with pytest.raises(LimpidError, match=message):
        trace(random_decoder(name), IDS).ablate(part)


def test_what_cannot_be_done() -> None:
    model = random_decoder("gpt2")
    mine = trace(model, IDS)
    with pytest.raises(LimpidError, match="no part is named"):
        mine.ablate()
    with pytest.raises(LimpidError, match="'zero' or 'mean', not 'maximum'"):
        mine.ablate("mlp:0", how="maximum")  # type: ignore[arg-type]
    with pytest.raises(LimpidError, match="the texts have 12 and 11 tokens"):
        mine.patch(trace(model, IDS[1:]), "mlp:0")
    with pytest.raises(LimpidError, match="place 11 is not in both texts; the shorter has places 0 to 10"):
        mine.patch(trace(model, IDS[1:]), "mlp:0", places=[11])
    with pytest.raises(LimpidError, match="different models"):
        mine.patch(trace(random_decoder("gpt2"), IDS), "mlp:0")
    with pytest.raises(LimpidError, match="nothing to recover"):
        patch_each(mine, mine, 5, 9)
    with pytest.raises(LimpidError, match="not 'neuron'"):
        patch_each(mine, mine, 5, 9, kind="neuron")  # type: ignore[arg-type]
