"""The gpt family's presets and fresh weights; that it computes what transformers does is in test_parity."""

from __future__ import annotations

import pytest

from limpid.models.count import parameters
from limpid.models.gpt import GptConfig
from limpid.models.registry import assemble, build, preset_config


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
