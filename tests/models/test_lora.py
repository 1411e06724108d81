"""LoRA: begins as the model it adapts, is what its formula says, trains only itself, and merges into plain weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from tests.models.test_parity import random_ids
from tests.models.variants import random_decoder

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.lora import LoraSection, add_lora, merge_lora
from limpid.models.registry import build
from limpid.models.task import TaskConfig, TaskModel
from limpid.nn.linear import Linear
from limpid.nn.lora import LoraLinear
from limpid.parallel.environment import World
from limpid.stages.recipe import Recipe
from limpid.training.optim import OptimSection, build_optimizers

ALONE = World(0, 1, torch.device("cpu"))


def adapted(name: str = "", **section: object):
    """A random model, and the same with random adapters."""
    plain, model = (random_llama() if not name else random_decoder(name) for _ in range(2))
    add_lora(model, LoraSection.model_validate({"rank": 3} | section), seed=1)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith(".b"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return plain.eval(), model.eval()


def hidden(model: torch.nn.Module, seed: int = 3) -> torch.Tensor:
    with torch.no_grad():
        return model(random_ids(2, 7, seed=seed))


def test_the_layer_is_its_formula() -> None:
    """Hu et al. 2021, equation 3, in NumPy, projection by projection."""
    draw = np.random.default_rng(0)
    base = Linear(6, 9, bias=True, parts={"query": 4, "key": 2, "value": 3})
    base.reset_parameters(torch.Generator().manual_seed(0))
    layer = LoraLinear(base, base.parts, {"query": 2, "value": 5}, scale=0.7, dropout=0.0)
    weight, bias = draw.normal(size=(9, 6)), draw.normal(size=9)
    matrices = {
        n: (draw.normal(size=(r, 6)), draw.normal(size=(s, r))) for n, r, s in (("query", 2, 4), ("value", 5, 3))
    }
    x = draw.normal(size=(5, 6))
    with torch.no_grad():
        base.weight.copy_(torch.tensor(weight))
        base.bias.copy_(torch.tensor(bias))
        for name, (a, b) in matrices.items():
            layer.pair(name).a.copy_(torch.tensor(a))
            layer.pair(name).b.copy_(torch.tensor(b))
        found = layer(torch.tensor(x, dtype=torch.float32)).numpy()
    expected = x @ weight.T + bias
    expected[:, :4] += 0.7 * x @ matrices["query"][0].T @ matrices["query"][1].T
    expected[:, 6:] += 0.7 * x @ matrices["value"][0].T @ matrices["value"][1].T
    np.testing.assert_allclose(found, expected, atol=1e-5)
    merged = layer.merged().detach().numpy()
    np.testing.assert_allclose(x @ merged.T + bias, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["", "gpt2", "mixtral", "speedrun"])
def test_fresh_adapters_change_nothing_and_merged_ones_are_the_same_function(name: str) -> None:
    plain = random_llama() if not name else random_decoder(name)
    fresh = random_llama() if not name else random_decoder(name)
    add_lora(fresh, LoraSection(rank=4), seed=0)
    torch.testing.assert_close(hidden(fresh.eval()), hidden(plain.eval()), rtol=0, atol=0)
    _, model = adapted(name)
    before = hidden(model)
    assert not torch.allclose(before, hidden(plain), atol=1e-2)
    merge_lora(model)
    torch.testing.assert_close(hidden(model), before, atol=2e-4, rtol=1e-4)
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}
    assert all(p.requires_grad for p in model.parameters())


def test_only_adapters_are_trained_and_of_a_task_model_the_head() -> None:
    _, model = adapted(targets=("query", "down"))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    ends = {f"{place}.lora.{part}.{side}" for place, part in (("attention.qkv", "query"), ("feed_forward.down", "down"))
            for side in "ab"}  # fmt: skip
    assert trained == {f"blocks.{layer}.{end}" for layer in range(2) for end in ends}
    for kind in ("muon", "adamw"):
        optimizers = build_optimizers(model, OptimSection(kind=kind), 32, torch.float32)
        groups = [group for part in optimizers.parts for group in part.param_groups]
        assert {p for group in groups for p in group["params"]} == {p for p in model.parameters() if p.requires_grad}
        assert {group["lr"] for group in groups} == {LoraSection().lr}
    task = build(TaskConfig(backbone=random_llama().config, task="reward"), seed=0)
    assert isinstance(task, TaskModel)
    add_lora(task, LoraSection(rank=2), seed=0)
    assert all(p.requires_grad for p in task.head.parameters())
    assert not any(p.requires_grad for n, p in task.backbone.named_parameters() if ".lora." not in n)


def test_a_checkpoint_keeps_base_and_adapters_and_is_read_merged(tmp_path: Path, tokenizer) -> None:
    _, model = adapted()
    store.write(tmp_path / "x", model, tokenizer, {"stage": "sft", "step": 1}, ALONE)
    apart = store.read(tmp_path / "x", merge=False).model
    assert apart.lora == model.lora
    for (name, p), (other, q) in zip(model.named_parameters(), apart.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(p, q)
    merged = store.read(tmp_path / "x").model
    assert merged.lora is None
    torch.testing.assert_close(hidden(merged.eval()), hidden(model), atol=2e-4, rtol=1e-4)


def test_the_engine_speaks_with_the_adapters() -> None:
    plain, model = adapted()
    answers = []
    for each in (plain, model):
        engine = Engine(inference_copy(each, torch.float32))
        answers.append(
            [
                event.token_id
                for (event,) in engine.generate([[5, 9, 2]], Sampling(temperature=0, max_tokens=12), stop_ids=())
            ]
        )
    assert answers[0] != answers[1]
    said = [5, 9, 2]
    for expected in answers[1]:
        with torch.no_grad():
            assert int(model.head(model(torch.tensor([said])))[0, -1].argmax()) == expected
        said.append(expected)
    engine = Engine(inference_copy(plain, torch.float32))
    engine.refresh(model)  # as a stage does while it trains
    again = [
        event.token_id for (event,) in engine.generate([[5, 9, 2]], Sampling(temperature=0, max_tokens=12), stop_ids=())
    ]
    assert again == answers[1]


def test_what_cannot_be_adapted_is_refused() -> None:
    with pytest.raises(
        LimpidError, match=r"no projection 'gate' in its blocks. There are: query, key, value, output, up"
    ):
        add_lora(random_decoder("gpt2"), LoraSection(rank=1, targets=("gate",)), seed=0)
    with pytest.raises(LimpidError, match=r"lora.targets"):
        parse(Recipe, {"lora": {"rank": 1, "targets": ["q_proj"]}}, "x")
