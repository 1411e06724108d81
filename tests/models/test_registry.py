"""Families, presets and the recipe's model section; every decoder family is made, counted and kept alike."""

from __future__ import annotations

import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.core.recipe import dumps, override, parse
from limpid.models import registry
from limpid.models.count import matmul_parameters, parameters
from limpid.models.decoder import Decoder
from limpid.models.model import Model
from limpid.models.registry import FAMILIES, PRESETS, assemble, build, config_from_table, preset_config, with_dropout
from limpid.stages.recipe import Recipe

DECODERS = [name for name, family in FAMILIES.items() if issubclass(family.kind, Decoder)]


def recipe_of(**model: object) -> Recipe:
    return parse(Recipe, {"model": model}, "test")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_dial_alone_makes_a_model_of_every_family(family: str) -> None:
    section = recipe_of(family=family, depth=2).model
    config = section.config(100, kind=FAMILIES[family].kind)
    assert config.vocab_size == 100
    model = build(config, seed=0)
    assert model.config is config
    assert all(p.isfinite().all() for p in model.parameters())
    again = config_from_table(config.model_dump(mode="json"), "test")
    assert again == config
    same, other = build(config, seed=0), build(config, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_is_a_valid_config_that_any_key_can_change(preset: str) -> None:
    published = preset_config(preset)
    family = FAMILIES[PRESETS[preset]]
    plain = recipe_of(preset=preset).model.config(published.vocab_size, kind=family.kind)
    assert plain == published
    changed = recipe_of(preset=preset, dropout=0.25).model.config(99, kind=family.kind)
    assert changed == published.model_copy(update={"dropout": 0.25, "vocab_size": 99})


@pytest.mark.parametrize("model", [{"depth": 3}, {"family": "gpt", "d_model": 128}, {"preset": "gpt2", "context": 64}])
def test_a_resolved_recipe_says_every_key_and_gives_the_same_model(model: dict[str, object]) -> None:
    recipe = recipe_of(**model).resolved(torch.device("cpu"))
    table = recipe.model.model_dump(exclude_none=True)
    config = recipe_of(**model).model.config(50)
    said = config.model_dump(exclude={"vocab_size"}, exclude_none=True)
    assert {key: table[key] for key in said} == said
    assert parse(Recipe, override({}, []) | {"model": table}, "again").model.config(50) == config
    assert f'family = "{config.family}"' in dumps(recipe)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"family": "gpt", "preset": "gpt9"}, "no preset is called 'gpt9'"),
        ({"family": "llama", "preset": "gpt2"}, "preset 'gpt2' is of the gpt family, not llama"),
        ({"preset": "gpt2", "depth": 3}, "depth and preset both set the shape"),
        ({"preset": "gpt2", "rope_base": 1e6}, "the gpt family has no key 'rope_base'"),
        ({"family": "gpt", "n_head": 5}, "d_model 384 must be a multiple of n_head 5"),
    ],
)
def test_what_does_not_go_together_is_said(model: dict[str, object], words: str) -> None:
    with pytest.raises(LimpidError, match=words) as caught:
        recipe_of(**model)
    assert "\n" not in str(caught.value)


def test_a_tied_matrix_is_one_and_is_counted_once() -> None:
    tied = recipe_of(family="gpt", depth=1).model.config(64)
    untied = tied.model_copy(update={"tie_embeddings": False})
    one, two = build(tied, seed=0), build(untied, seed=0)
    assert one.head.weight is one.embedding.weight
    assert two.head.weight is not two.embedding.weight
    assert parameters(two) - parameters(one) == 64 * tied.d_model


def test_a_model_can_be_planned_without_memory() -> None:
    model = assemble(preset_config("gpt3-175b"))
    assert all(p.is_meta for p in model.parameters())
    assert 174e9 < parameters(model) < 176e9


@pytest.mark.parametrize("family", DECODERS)
def test_another_dropout_keeps_the_weights(family: str) -> None:
    model = build(recipe_of(family=family, depth=1).model.config(50), seed=3)
    other = with_dropout(model, 0.5)
    assert other.config.dropout == 0.5
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_family_of_another_kind_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Model):
        noun = "an encoder"

    monkeypatch.setitem(registry.FAMILIES, "other", FAMILIES["gpt"]._replace(kind=Other))
    section = recipe_of(family="other").model
    assert section.config(10, kind=Other).vocab_size == 10
    with pytest.raises(LimpidError, match="a other model is an encoder, and a decoder is needed here"):
        section.config(10)


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("llama2-7b", 6_738_415_616),
        ("llama2-70b", 68_976_648_192),
        ("llama3-8b", 8_030_261_248),
        ("llama3-70b", 70_553_706_496),
        ("llama3.1-405b", 405_853_388_800),
        ("llama3.2-1b", 1_235_814_400),
        ("llama3.2-3b", 3_212_749_824),
        ("mistral-7b", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen2-0.5b", 494_032_768),
        ("qwen2-1.5b", 1_543_714_304),
        ("qwen2-7b", 7_615_616_512),
        ("qwen2-72b", 72_706_203_648),
        ("qwen3-0.6b", 596_049_920),
        ("qwen3-4b", 4_022_468_096),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-14b", 14_768_307_200),
        ("qwen3-32b", 32_762_123_264),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("qwen3-235b-a22b", 235_093_634_560),
    ],
)
def test_presets_have_the_number_of_parameters_of_the_published_weights(preset: str, count: int) -> None:
    """As summed over the safetensors headers of the published checkpoints."""
    assert parameters(assemble(preset_config(preset))) == count


def test_experts_count_only_where_they_are_taken() -> None:
    """12.9 billion of Mixtral's parameters serve a token (Jiang et al. 2024, section 1), its token table included."""
    model = assemble(preset_config("mixtral-8x7b"))
    assert matmul_parameters(model) + model.embedding.weight.numel() == pytest.approx(12.9e9, rel=0.005)
