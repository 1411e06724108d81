"""The transformer family against transformers' Marian and BART, and against itself."""

from __future__ import annotations

import math

import pytest
import torch
from tests.models.encoder_decoders import BART, MARIAN, SHAPE, random_transformer, twin
from torch import Tensor

from limpid.inference.cache import allocate, layers
from limpid.models.registry import assemble, build, preset_config
from limpid.models.transformer import TransformerConfig

SOURCE = torch.tensor([[5, 9, 30, 7, 11, 0], [8, 21, 3, 0, 17, 17], [6, 0, 17, 17, 17, 17]])
LENGTHS = torch.tensor([6, 4, 2])
TARGET = torch.tensor([[4, 12, 33, 40, 7], [4, 20, 28, 9, 2], [4, 3, 3, 8, 1]])


@pytest.mark.parametrize("changes", [MARIAN, BART], ids=["marian", "bart"])
def test_logits_are_those_of_transformers(changes: dict) -> None:
    model = random_transformer(1, **changes)
    with torch.no_grad():
        mine = model.head(model(SOURCE, LENGTHS, TARGET))
        attend = (torch.arange(6) < LENGTHS[:, None]).long()
        theirs = twin(model)(input_ids=SOURCE, attention_mask=attend, decoder_input_ids=TARGET).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs).abs().max()) <= 1e-4


def test_gradients_are_those_of_transformers() -> None:
    model = random_transformer(2, **MARIAN)
    theirs = twin(model)
    attend = (torch.arange(6) < LENGTHS[:, None]).long()
    (model.head(model(SOURCE, LENGTHS, TARGET)).square().mean()).backward()
    theirs(input_ids=SOURCE, attention_mask=attend, decoder_input_ids=TARGET).logits.square().mean().backward()
    torch.testing.assert_close(model.embedding.weight.grad, theirs.model.shared.weight.grad, atol=1e-5, rtol=1e-3)
    q, _, _ = model.encoder.blocks[0].attention.qkv.weight.grad.chunk(3)
    other = theirs.model.encoder.layers[0].self_attn.q_proj.weight.grad
    assert float(other.abs().max()) > 1e-4
    torch.testing.assert_close(q, other, atol=1e-6, rtol=1e-3)


VARIANTS = [{}, MARIAN, BART, {"norm": "pre", "attention_dropout": 0.1}]
NAMES = ["2017", "marian", "bart", "pre-norm"]


@pytest.mark.parametrize("changes", VARIANTS, ids=NAMES)
def test_padding_of_the_source_is_never_seen(changes: dict) -> None:
    model = random_transformer(3, **changes)
    other = SOURCE.clone()
    other[1, 4:], other[2, 2:] = 40, 41
    with torch.no_grad():
        assert torch.equal(model(SOURCE, LENGTHS, TARGET), model(other, LENGTHS, TARGET))
        changed = SOURCE.clone()
        changed[1, 3] = 40  # the last token that is no padding
        hidden, moved = model(SOURCE, LENGTHS, TARGET), model(changed, LENGTHS, TARGET)
    assert torch.equal(hidden[0], moved[0])
    assert not torch.isclose(hidden[1], moved[1]).all(-1).any()  # every target token looks at all of its source


@pytest.mark.parametrize("changes", VARIANTS, ids=NAMES)
def test_a_row_is_the_same_alone_as_beside_longer_ones(changes: dict) -> None:
    model = random_transformer(4, **changes)
    with torch.no_grad():
        together = model(SOURCE, LENGTHS, TARGET)
        for row, length in enumerate(LENGTHS.tolist()):
            alone = model(SOURCE[row : row + 1, :length], LENGTHS[row : row + 1], TARGET[row : row + 1])
            torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", VARIANTS, ids=NAMES)
def test_a_target_token_sees_itself_and_what_came_before_it(changes: dict) -> None:
    model = random_transformer(5, **changes)
    with torch.no_grad():
        hidden = model(SOURCE, LENGTHS, TARGET)
        for place in range(TARGET.shape[1]):
            other = TARGET.clone()
            other[:, place] = 50
            moved = model(SOURCE, LENGTHS, other)
            assert torch.equal(hidden[:, :place], moved[:, :place])
            assert not torch.isclose(hidden[:, place:], moved[:, place:]).all(-1).any()


@pytest.mark.parametrize("changes", VARIANTS, ids=NAMES)
def test_decoding_with_a_cache_is_decoding_without(changes: dict) -> None:
    model = random_transformer(6, **changes)
    with torch.no_grad():
        whole = model(SOURCE, LENGTHS, TARGET)
        memory = model.prepare(model.encode(SOURCE, LENGTHS))
        cache = layers(allocate(model.config, 3, 16, torch.float32, torch.device("cpu")), slice(0, 3))
        steps = []
        for place in range(TARGET.shape[1]):
            token, positions = TARGET[:, place : place + 1], torch.full((3, 1), place)
            steps.append(model.decode(token, memory, positions=positions, cache=cache, seen=8))
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, atol=1e-5, rtol=1e-4)


def test_what_enters_the_first_block_is_equation_and_embedding() -> None:
    """sqrt(D) E[id] + PE, PE as the paper's section 3.5 writes it, computed here number by number."""
    model = random_transformer(7)
    width, weight = SHAPE["d_model"], model.embedding.weight.tolist()
    seen: list[Tensor] = []
    model.encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model.encode(SOURCE, LENGTHS)
    for place in range(SOURCE.shape[1]):
        for i in range(width):
            angle = place / 10_000 ** (2 * (i // 2) / width)
            wave = math.sin(angle) if i % 2 == 0 else math.cos(angle)
            expected = math.sqrt(width) * weight[SOURCE[0, place]][i] + wave
            assert float(seen[0][0, place, i]) == pytest.approx(expected, abs=1e-5)


def test_one_matrix_is_source_target_and_output_embedding() -> None:
    model = build(TransformerConfig(vocab_size=53, context=48), seed=0)
    assert model.head.weight is model.embedding.weight
    assert sum("embedding" in name for name, _ in model.named_parameters()) == 1


def test_the_base_model_has_the_size_of_table_3() -> None:
    base, big = (assemble(preset_config(name)) for name in ("transformer-base", "transformer-big"))
    sizes = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (base, big)]
    assert sizes[0] == pytest.approx(65, abs=3)  # the paper rounds, and does not state the vocabulary exactly
    assert sizes[1] == pytest.approx(213, abs=4)
    assert (base.config.d_model, base.config.d_ff, base.config.n_head, base.config.dropout) == (512, 2048, 8, 0.1)
    assert len(base.encoder.blocks) == len(base.decoder.blocks) == 6


def test_fresh_pre_norm_blocks_are_the_identity() -> None:
    model = build(TransformerConfig.model_validate(SHAPE | {"norm": "pre"}), seed=0)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "bias") and isinstance(module.bias, torch.nn.Parameter):
                assert float(module.bias.abs().max()) == 0
        x = torch.randn(2, 5, SHAPE["d_model"])
        from limpid.nn.attention import Context

        assert torch.equal(model.encoder.blocks[0](x, Context(None, None, torch.zeros(2, 1, 1, 5))), x)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation 'relu3' is not known"):
        TransformerConfig.model_validate(SHAPE | {"activation": "relu3"})
