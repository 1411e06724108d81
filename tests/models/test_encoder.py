"""The encoder family against transformers' BERT, and against itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from limpid.core.errors import LimpidError
from limpid.models.bidirectional import Encoder
from limpid.models.decoder import Decoder
from limpid.models.encoder import EncoderConfig
from limpid.models.registry import assemble, build, preset_config, require_kind

SHAPE = {
    "vocab_size": 61, "context": 40, "d_model": 32, "n_layer": 3, "n_head": 4, "head_dim": 8, "d_ff": 56,
    "n_segments": 2, "mask_token": 3, "dropout": 0.0,
}  # fmt: skip
IDS = torch.tensor([[5, 9, 3, 7, 11, 2], [8, 3, 3, 2, 0, 0], [6, 2, 0, 0, 0, 0]])
LENGTHS = torch.tensor([6, 4, 2])


def random_encoder(seed: int = 0, **changes: object) -> Encoder:
    model: Encoder = build(EncoderConfig.model_validate(SHAPE | changes), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = 0.2 if parameter.dim() < 2 or "embedding" not in name else 1.0
            parameter.copy_(scale * noise + (1.0 if name.endswith("norm.weight") else 0.0))
    return model.eval()


def bert(model: Encoder) -> Any:
    """transformers' BertForMaskedLM of the same shape, every tensor copied over one by one."""
    from transformers import BertConfig, BertForMaskedLM

    config = model.config
    theirs = BertForMaskedLM(
        BertConfig(
            vocab_size=config.vocab_size, hidden_size=config.d_model, num_hidden_layers=config.n_layer,
            num_attention_heads=config.n_head, intermediate_size=config.d_ff, hidden_act=config.activation,
            max_position_embeddings=config.context, type_vocab_size=config.n_segments,
            layer_norm_eps=config.norm_eps, attn_implementation="eager",
        )
    )  # fmt: skip
    assert model.segment_embedding is not None
    tensors = {
        "bert.embeddings.word_embeddings.weight": model.embedding.weight,
        "bert.embeddings.position_embeddings.weight": model.encoder.positions.weight,
        "bert.embeddings.token_type_embeddings.weight": model.segment_embedding.weight,
        "cls.predictions.decoder.weight": model.embedding.weight,
        "cls.predictions.decoder.bias": model.head.bias,
        "cls.predictions.bias": model.head.bias,
    }

    def linear(name: str, module: Any) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = module.weight, module.bias

    linear("bert.embeddings.LayerNorm", model.encoder.embedding_norm)
    linear("cls.predictions.transform.dense", model.transform.dense)
    linear("cls.predictions.transform.LayerNorm", model.transform.norm)
    for number, block in enumerate(model.blocks):
        at, attention = f"bert.encoder.layer.{number}.", block.attention
        for name, weight, bias in zip(
            ("query", "key", "value"), attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3), strict=True
        ):
            tensors[f"{at}attention.self.{name}.weight"], tensors[f"{at}attention.self.{name}.bias"] = weight, bias
        linear(f"{at}attention.output.dense", attention.output)
        linear(f"{at}attention.output.LayerNorm", block.attention_norm)
        linear(f"{at}intermediate.dense", block.feed_forward.up)
        linear(f"{at}output.dense", block.feed_forward.down)
        linear(f"{at}output.LayerNorm", block.feed_forward_norm)
    names = dict(theirs.named_parameters(remove_duplicate=False))
    assert names.keys() == tensors.keys()
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(tensors[name])
    return theirs.eval()


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_logits_are_those_of_transformers(activation: str) -> None:
    model = random_encoder(1, activation=activation)
    segments = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]])
    attend = (torch.arange(6) < LENGTHS[:, None]).long()
    with torch.no_grad():
        mine = model.scores(model(IDS, lengths=LENGTHS, segments=segments))
        theirs = bert(model)(input_ids=IDS, attention_mask=attend, token_type_ids=segments).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs)[attend.bool()].abs().max()) <= 1e-4


def test_without_lengths_and_segments_all_is_one_text() -> None:
    model = random_encoder(2)
    with torch.no_grad():
        mine, theirs = model.scores(model(IDS)), bert(model)(input_ids=IDS).logits
    assert float((mine - theirs).abs().max()) <= 1e-4


@pytest.mark.parametrize("changes", [{}, {"norm": "pre", "positions": "sinusoidal", "n_segments": 0}])
def test_every_token_sees_every_other_and_no_padding(changes: dict) -> None:
    model = random_encoder(3, **changes)
    with torch.no_grad():
        hidden = model(IDS, lengths=LENGTHS)
        padded = IDS.clone()
        padded[1, 4:], padded[2, 2:] = 40, 41
        moved = model(padded, lengths=LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            assert torch.equal(hidden[row, :length], moved[row, :length])
            alone = model(IDS[row : row + 1, :length])
            torch.testing.assert_close(hidden[row, :length], alone[0], atol=1e-5, rtol=1e-4)
        last = IDS.clone()
        last[0, 5] = 40
        assert not torch.isclose(hidden[0], model(last, lengths=LENGTHS)[0]).all(-1).any()


def test_a_mask_that_is_no_token_is_one_row_more() -> None:
    model = random_encoder(4, mask_token=None)
    assert model.config.mask_id == 61
    assert model.embedding.weight.shape == (62, 32)
    assert model.scores(model(torch.tensor([[1, 61, 2]]))).shape == (1, 3, 62)


def test_presets_have_the_published_sizes() -> None:
    """transformers' BertForMaskedLM has 109,514,298 and 335,174,458; here the mask is a row (and a bias) of its own."""
    sizes = [sum(p.numel() for p in assemble(preset_config(n)).parameters()) for n in ("bert-base", "bert-large")]
    assert sizes == [109_514_298 + 769, 335_174_458 + 1025]


def test_kinds_are_told_apart() -> None:
    require_kind("encoder", Encoder, "x")
    with pytest.raises(LimpidError, match="a encoder model is an encoder, and a decoder is needed here"):
        require_kind("encoder", Decoder, "x")
    with pytest.raises(LimpidError, match="mask_token 61 is no id of a vocabulary of 61"):
        build(EncoderConfig.model_validate(SHAPE | {"mask_token": 61}))
