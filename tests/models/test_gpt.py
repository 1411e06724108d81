"""The gpt family against transformers, and the parts it can be made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models.test_llama import random_ids
from torch import Tensor

from limpid.models.count import parameters
from limpid.models.decoder import Decoder
from limpid.models.gpt import GptConfig
from limpid.models.registry import assemble, build, preset_config

SHAPE = {"vocab_size": 97, "context": 48, "d_model": 32, "n_layer": 3, "n_head": 4, "d_ff": 80}


def random_gpt(seed: int = 0, **changes: object) -> Decoder:
    """A small gpt whose every weight is random, biases and norms included."""
    model = build(GptConfig.model_validate(SHAPE | changes), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.2 if parameter.dim() > 1 else 0.5 + 0.2 * noise)
    return model.eval()


def reference(model: Decoder) -> Any:
    """transformers' GPT2 or OpenAIGPT of the same shape, every tensor copied over one by one."""
    from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

    config = model.config
    shape = {
        "vocab_size": config.vocab_size, "n_positions": config.context, "n_embd": config.d_model,
        "n_layer": config.n_layer, "n_head": config.n_head, "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings, "attn_implementation": "eager", "bos_token_id": None,
        "eos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    if config.norm == "post":
        theirs = OpenAIGPTLMHeadModel(OpenAIGPTConfig(**shape, afn="gelu"))
        tables = {"tokens_embed": model.embedding, "positions_embed": model.positions}
    else:
        names = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}
        activation = names[config.activation]
        theirs = GPT2LMHeadModel(GPT2Config(**shape, n_inner=config.d_ff, activation_function=activation))
        tables = {"wte": model.embedding, "wpe": model.positions, "ln_f": model.norm}
    tensors: dict[str, Tensor] = {"lm_head.weight": model.head.weight}
    for name, module in tables.items():
        tensors |= {f"transformer.{name}.{leaf}": p for leaf, p in module.named_parameters()}
    for number, block in enumerate(model.blocks):
        products = {
            "attn.c_attn": block.attention.qkv, "attn.c_proj": block.attention.output,
            "mlp.c_fc": block.feed_forward.up, "mlp.c_proj": block.feed_forward.down,
        }  # fmt: skip
        for name, linear in products.items():  # their products are stored input by output
            tensors[f"transformer.h.{number}.{name}.weight"] = linear.weight.T
            tensors[f"transformer.h.{number}.{name}.bias"] = linear.bias
        for name, norm in {"ln_1": block.attention_norm, "ln_2": block.feed_forward_norm}.items():
            tensors[f"transformer.h.{number}.{name}.weight"] = norm.weight
            tensors[f"transformer.h.{number}.{name}.bias"] = norm.bias
    names_there = dict(theirs.named_parameters(remove_duplicate=False))
    assert names_there.keys() == tensors.keys()
    with torch.no_grad():
        for name, parameter in names_there.items():
            parameter.copy_(tensors[name])
    return theirs.eval()


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu", "relu"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_gpt2_logits_are_those_of_transformers(activation: str, tied: bool) -> None:
    model = random_gpt(1, activation=activation, tie_embeddings=tied)
    ids = random_ids(2, 40, SHAPE["vocab_size"])
    with torch.no_grad():
        mine, theirs = model.head(model(ids)), reference(model)(ids).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs).abs().max()) <= 1e-5


def test_gpt1_logits_are_those_of_transformers() -> None:
    model = random_gpt(2, norm="post", d_ff=4 * SHAPE["d_model"])  # OpenAIGPT has no other width
    ids = random_ids(2, 40, SHAPE["vocab_size"])
    with torch.no_grad():
        mine, theirs = model.head(model(ids)), reference(model)(ids).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs).abs().max()) <= 1e-5


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("gpt1", 116_534_784),
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_presets_have_the_published_number_of_parameters(preset: str, count: int) -> None:
    assert parameters(assemble(preset_config(preset))) == count


def test_fresh_weights_are_those_of_the_papers() -> None:
    model = build(GptConfig(vocab_size=500, context=64, d_model=256, n_layer=8, n_head=4, d_ff=1024), seed=0)
    block = model.blocks[3]
    for table in (model.embedding, model.positions, block.attention.qkv, block.feed_forward.up):
        assert float(table.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    for written in (block.attention.output, block.feed_forward.down):
        assert float(written.weight.detach().std()) == pytest.approx(0.02 / 16**0.5, rel=0.03)
        assert not written.bias.any()
