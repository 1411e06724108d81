"""A number's working: its parts, put together in NumPy, are the trace's number; every step names what is there."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from tests.inspection.rules_numpy import together
from tests.inspection.twin_numpy import llama_inside
from tests.models.encoder_decoders import BART, MARIAN, random_transformer
from tests.models.test_encoder import random_encoder
from tests.models.variants import VARIANTS, random_decoder

from limpid.core.errors import LimpidError
from limpid.inspection.trace import Trace, trace
from limpid.inspection.worked import Worked

IDS = [5, 9, 5, 31, 2, 7, 9, 40, 5]
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "transformer": {"start_token": 3}, "transformer-pre": {"start_token": 3, "norm": "pre"}, "marian": MARIAN,
    "bart": BART,
}  # fmt: skip


def cells(opened: Trace, each: int, seed: int = 0) -> list[Worked]:
    """Some numbers of every name."""
    generator = np.random.default_rng(seed)
    return [
        opened.worked(name, *(int(generator.integers(size)) for size in shape))
        for name, shape in opened.names().items()
        for _ in range(each)
    ]


def check(opened: Trace, found: Worked) -> None:
    own = float(opened[found.name][found.place])
    again = together(found.recipe.rule, found.recipe.numbers, found.recipe.rows)
    if math.isinf(own):
        assert found.value == again == found.result == own
        return
    close = 1e-5 * max(1.0, abs(own))
    assert abs(found.value - own) <= 1e-6 * max(1.0, abs(own)), found
    assert abs(again - own) <= close, (found, again)
    assert abs(found.result - again) <= 1e-12 * max(1.0, abs(again)), (found, again)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_name_of_every_decoder_is_worked(variant: str) -> None:
    opened = trace(random_decoder(variant), IDS)
    for found in cells(opened, each=3):
        check(opened, found)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_name_of_encoder_decoders_is_worked(name: str) -> None:
    opened = trace(random_transformer(**TRANSFORMERS[name]), IDS, target=[4, 8, 4])
    for found in cells(opened, each=3):
        check(opened, found)


def test_every_name_of_an_encoder_but_its_head_is_worked() -> None:
    opened = trace(random_encoder(), IDS)
    for name, shape in opened.names().items():
        if name not in ("logits", "probabilities"):
            check(opened, opened.worked(name, *(size // 2 for size in shape)))
    with pytest.raises(LimpidError, match="a network by itself"):
        opened.worked("logits", 0, 0)
    assert [step.key for step in opened.walk()[0].layers[0]] == ["tokens", "embed", "segment", "position", "enter"]


def test_workings_equal_an_independent_model() -> None:
    model = random_llama()
    opened, twin = trace(model, IDS), llama_inside(model, IDS)
    for found in cells(opened, each=3):
        if found.name in twin and math.isfinite(found.value):
            assert found.result == pytest.approx(float(twin[found.name][found.place]), abs=1e-4, rel=1e-4), found


def test_a_working_says_where_its_numbers_stand() -> None:
    model = random_llama()
    opened = trace(model, IDS)
    found = opened.worked("blocks.1.attn.hook_q", 4, 3, 5)
    assert found.recipe.sources == {"a": "blocks.1.ln1.hook_normalized[4]", "b": "blocks.1.attention.qkv.weight[29]"}
    weight = model.get_parameter("blocks.1.attention.qkv.weight")[29]
    assert found.recipe.rows["b"] == weight.tolist()
    assert found.recipe.rows["a"] == opened["blocks.1.ln1.hook_normalized"][4].tolist()
    assert repr(found).startswith("<blocks.1.attn.hook_q[4, 3, 5] = ")
    grouped = opened.worked("blocks.0.attn.hook_z", 8, 3, 2)
    assert grouped.recipe.sources["b"] == "blocks.0.attn.hook_v[:, 1, 2]"


@pytest.mark.parametrize("variant", ["llama", "gpt1", "mixtral", "speedrun"])
def test_a_walk_names_what_is_there(variant: str) -> None:
    model = random_decoder(variant)
    opened = trace(model, IDS)
    names, parameters = opened.names(), dict(model.named_parameters(remove_duplicate=False))
    chapters = opened.walk()
    assert [(one.kind, one.stack, len(one.layers)) for one in chapters] == [
        ("input", "blocks", 1), ("block", "blocks", 3), ("output", "blocks", 1)
    ]  # fmt: skip
    for step in (step for chapter in chapters for layer in chapter.layers for step in layer):
        assert set(step.shows.values()) <= names.keys()
        assert set(step.weights.values()) <= parameters.keys()
        json.dumps(step)
    block = [step.key for step in chapters[1].layers[0]]
    assert ("attn.turn" in block) == (variant != "gpt1")
    assert ("mlp.router" in block) == (variant == "mixtral")
    assert ("mix" in block) == (variant == "speedrun")
    assert ("attn.norm" in block) == (variant != "gpt1")  # post-norm: the norms stand behind the sums


PARTS: dict[str, dict[str, Any]] = {
    "gpt1": {"norm": "layer", "post": True, "position": "learned", "activation": "gelu_tanh", "turn": False},
    "gpt2": {"norm": "layer", "post": False, "position": "learned"},
    "llama": {"norm": "rms", "post": False, "turn": True, "activation": "swiglu", "qk_norm": False},
    "qwen3": {"qk_norm": True, "kv_heads": 2},
    "mixtral": {"experts": True},
}
"""What papers and model cards say of these families."""


@pytest.mark.parametrize("variant", PARTS)
def test_the_walk_tells_what_a_model_is_made_of(variant: str) -> None:
    start, blocks, _ = trace(random_decoder(variant), IDS).walk()
    steps = {step.key: step for step in [*start.layers[0], *blocks.layers[0]]}
    post = "attn.norm" not in steps
    found = {
        "post": post, "norm": steps["attn.residual" if post else "attn.norm"].how["norm"],
        "turn": "attn.turn" in steps, "qk_norm": "attn.qk_norm" in steps, "experts": "mlp.router" in steps,
        "kv_heads": steps["attn.heads"].how["kv_heads"],
        "position": steps["position"].how["kind"] if "position" in steps else None,
        "activation": steps["mlp.up"].how["activation"] if "mlp.up" in steps else None,
    }  # fmt: skip
    assert found | PARTS[variant] == found


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_family_has_a_walk_to_a_token(variant: str) -> None:
    *_, end = trace(random_decoder(variant), IDS).walk()
    assert [step.key for step in end.layers[0]][-4:] == ["logits", "temperature", "filters", "draw"]


def test_the_walk_of_an_encoder_decoder() -> None:
    chapters = trace(random_transformer(norm="pre", start_token=3), IDS, target=[4, 8]).walk()
    assert [(one.kind, one.stack) for one in chapters] == [
        ("input", "encoder"), ("block", "encoder"), ("memory", "encoder"), ("input", "decoder"), ("block", "decoder"),
        ("output", "decoder"),
    ]  # fmt: skip
    masked = {step.key: step.how for step in [*chapters[1].layers[0], *chapters[4].layers[0]] if "masked" in step.key}
    assert not chapters[1].layers[0][[s.key for s in chapters[1].layers[0]].index("attn.masked")].how["causal"]
    assert masked["attn.masked"]["causal"]
    assert not masked["cross_attn.masked"]["causal"]


def test_what_cannot_be_worked_is_told() -> None:
    opened = trace(random_llama(), IDS)
    for name, index, said in [
        ("blocks.0.hook_resid_pos", (0, 0), "nothing called 'blocks.0.hook_resid_pos'. Did you mean"),
        ("blocks.0.attn.hook_q", (0, 4, 0), r"has the shape \[9, 4, 8\]; \[0, 4, 0\] is no place in it"),
        ("logits", (0,), r"\[0\] is no place in it"),
    ]:
        with pytest.raises(LimpidError, match=said):
            opened.worked(name, *index)


def test_gaze_finds_the_largest_weights() -> None:
    opened = trace(random_llama(), IDS)
    looks = opened.gaze(at=6, count=3)
    every = np.stack([opened.pattern(layer) for layer in range(opened.n_layer)])[:, :, 6, :]
    every[..., [0, 6]] = 0
    best = sorted(
        ((float(every[layer, head].max()), layer, head) for layer in range(2) for head in range(4)), reverse=True
    )
    assert [(look.layer, look.head) for look in looks] == [(layer, head) for _, layer, head in best[:3]]
    for look in looks:
        assert look.weights == sorted(look.weights, reverse=True)
        assert look.weights == [float(every[look.layer, look.head, place]) for place in look.places]
    assert opened.gaze(at=0) == []


def test_the_lens_follows_the_token_it_is_asked_for() -> None:
    from limpid.inspection.lens import logit_lens

    opened = trace(random_llama(), IDS)
    found = logit_lens(opened, 2, [4], [17])
    with torch.no_grad():
        for depth in range(opened.n_layer + 1):
            logits = opened.subject.model.head(opened.main.norm(opened.main.entered(depth)[4])).double()
            assert found.chances[depth, 0] == pytest.approx(float(logits.softmax(-1)[17]), rel=1e-4)
            assert found.ranks[depth, 0] == int((logits > logits[17]).sum()) + 1
    with pytest.raises(LimpidError, match="one token a place"):
        logit_lens(opened, 2, [4, 5], [17])
