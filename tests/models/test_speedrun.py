"""The speedrun family against an independent twin in NumPy, one row and one head at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_parity import random_ids
from tests.models.variants import random_decoder

from limpid.data.batches import Batch
from limpid.models.speedrun import SpeedrunConfig, speedrun
from limpid.training.objectives.next_token import NextToken


def twin(config: SpeedrunConfig, w: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """(T, V) logits in float64, from the weights by name."""
    eps, width, T = config.norm_eps, config.head_dim, len(ids)

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight

    def turn(x: np.ndarray) -> np.ndarray:
        half = width // 2
        turns = np.exp(1j * np.arange(T)[:, None] * config.rope_base ** (-np.arange(half) / half))
        z = (x[:, :half] + 1j * x[:, half:]) * turns
        return np.concatenate([z.real, z.imag], axis=1)

    x = start = w["embedding.weight"][ids]
    for layer in range(config.n_layer):
        p = {name.split(".", 2)[2]: v for name, v in w.items() if name.startswith(f"blocks.{layer}.")}
        to_last = config.n_layer - 1 - layer
        x = p["mix"][0] * x + p["mix"][1] * start
        qkv = norm(x, p["attention_norm.weight"]) @ p["attention.qkv.weight"].T
        q, k, v = np.split(qkv, [config.n_head * width, (config.n_head + config.n_kv_head) * width], axis=1)
        if config.value_every and to_last % config.value_every == 0:
            v = v + p["value_scale"] * p["value_embedding.weight"][ids]
        else:
            assert "value_scale" not in p
        window = config.window if config.window and to_last % config.long_every else T
        heads = []
        for head in range(config.n_head):
            group = head // (config.n_head // config.n_kv_head)
            own, shared = slice(head * width, (head + 1) * width), slice(group * width, (group + 1) * width)
            queries = turn(norm(q[:, own], p["attention.q_norm.weight"]))
            keys = turn(norm(k[:, shared], p["attention.k_norm.weight"]))
            rows = []
            for t in range(T):
                seen = slice(max(0, t - window + 1), t + 1)
                scores = keys[seen] @ queries[t] / np.sqrt(width)
                weights = np.exp(scores - scores.max())
                rows.append(weights / weights.sum() @ v[seen, shared])
            heads.append(np.array(rows))
        x = x + np.concatenate(heads, axis=1) @ p["attention.output.weight"].T
        inner = np.maximum(norm(x, p["feed_forward_norm.weight"]) @ p["feed_forward.up.weight"].T, 0) ** 2
        x = x + inner @ p["feed_forward.down.weight"].T
    logits = norm(x, w["norm.weight"]) @ w["head.weight"].T
    return config.soft_cap * np.tanh(logits / config.soft_cap) if config.soft_cap else logits


@pytest.mark.parametrize(
    "changes", [{}, {"window": 0}, {"value_every": 0}, {"long_every": 1}, {"soft_cap": 0.0}, {"value_every": 3}]
)
def test_logits_are_those_of_the_twin(changes: dict[str, Any]) -> None:
    model = random_decoder("speedrun", 1, **({"soft_cap": 2.0} | changes))
    weights = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    ids = random_ids(1, 30)
    expected = twin(model.config, weights, ids[0].tolist())
    with torch.no_grad():
        found = model.head(model(ids))[0].numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_training_evaluation_and_head_agree_on_capped_logits() -> None:
    model = random_decoder("speedrun", 2, soft_cap=1.5)
    ids, targets = random_ids(2, 20), random_ids(2, 20, seed=3)
    batch = Batch(ids, targets, torch.ones(2, 20), None)
    weights = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    logits = np.stack([twin(model.config, weights, row) for row in ids.tolist()])
    assert np.abs(logits).max() < 1.5
    log_sum = np.log(np.exp(logits).sum(-1))
    expected = (log_sum - np.take_along_axis(logits, targets[..., None].numpy(), -1)[..., 0]).sum()
    trained = NextToken(torch.float32)(model, batch)
    with torch.no_grad():
        evaluated = NextToken(torch.float32)(model, batch)
        by_head = torch.nn.functional.cross_entropy(model.head(model(ids)).mT, targets, reduction="sum")
    for found in (trained, evaluated, by_head):
        assert float(found.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_fresh_model_guesses_uniformly_and_begins_without_outputs() -> None:
    from limpid.models.registry import FAMILIES, build

    config = SpeedrunConfig(vocab_size=50, **FAMILIES["speedrun"].dial(2, {"d_model": 32, "head_dim": 16}))
    model = build(config, seed=0)
    for block in model.blocks:
        assert not block.attention.output.weight.any()
        assert not block.feed_forward.down.weight.any()
        assert block.mix.tolist() == pytest.approx([1.0, 0.1])
    with torch.no_grad():
        spread = model.head(model(random_ids(1, 9) % 50)).softmax(-1)
    assert float((spread - 1 / 50).abs().max()) < 1e-3


def test_which_layers_see_all_and_which_have_values() -> None:
    config = SpeedrunConfig(
        vocab_size=9, context=8, d_model=8, n_layer=7, n_head=1, n_kv_head=1, head_dim=8, d_ff=8, window=4,
        long_every=3, value_every=2,
    )  # fmt: skip
    model = speedrun(config)
    assert model.windows == [0, 4, 4, 0, 4, 4, 0]
    assert [block.value_embedding is not None for block in model.blocks] == [
        True,
        False,
        True,
        False,
        True,
        False,
        True,
    ]
