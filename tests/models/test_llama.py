"""The llama family against transformers in the shapes it is trained in here, and against itself."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import random_llama
from tests.models.references import reference
from torch import Tensor

from limpid.models.llama import LlamaConfig
from limpid.models.registry import build

SHAPE = {"vocab_size": 97, "context": 64, "d_model": 32, "n_layer": 3, "head_dim": 8, "d_ff": 56, "n_head": 4}


def random_ids(rows: int, length: int, vocab_size: int, seed: int = 0) -> Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("qk_norm", [False, True], ids=["llama", "qwen3"])
@pytest.mark.parametrize("n_kv_head", [4, 2, 1])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_logits_are_those_of_transformers(qk_norm: bool, n_kv_head: int, tied: bool) -> None:
    shape = SHAPE | {"n_kv_head": n_kv_head}
    model = random_llama(1, **shape, qk_norm=qk_norm, tie_embeddings=tied, rope_base=500.0, norm_eps=1e-5)
    ids = random_ids(2, 40, SHAPE["vocab_size"])
    with torch.no_grad():
        model.head.weight.mul_(0.25)  # logits of about one, where 1e-5 is some roundings of float32
        mine, theirs = model.head(model(ids)), reference(model)(ids).logits
    assert float(theirs.std()) > 0.1
    assert float((mine - theirs).abs().max()) <= 1e-5


def test_gradients_are_those_of_transformers() -> None:
    model = random_llama(2, **SHAPE, n_kv_head=2)
    theirs = reference(model)
    ids = random_ids(2, 12, SHAPE["vocab_size"])
    model.head(model(ids)).logsumexp(-1).sum().backward()
    theirs(ids).logits.logsumexp(-1).sum().backward()
    pairs = [
        (model.embedding.weight, theirs.model.embed_tokens.weight),
        (model.blocks[0].attention.output.weight, theirs.model.layers[0].self_attn.o_proj.weight),
        (model.blocks[0].attention.q_norm.weight, theirs.model.layers[0].self_attn.q_norm.weight),
        (model.blocks[2].feed_forward.down.weight, theirs.model.layers[2].mlp.down_proj.weight),
    ]
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-4, rtol=1e-4)


def test_tied_matrices_are_one() -> None:
    model = build(LlamaConfig(**SHAPE, n_kv_head=2, tie_embeddings=True), seed=0)
    assert model.head.weight is model.embedding.weight
    untied = build(LlamaConfig(**SHAPE, n_kv_head=2), seed=0)
    count = sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in model.parameters())
    assert count == SHAPE["vocab_size"] * SHAPE["d_model"]


def test_documents_of_one_row_do_not_see_each_other() -> None:
    model = random_llama(3)
    one, two, three = (random_ids(1, length, 320, seed=length) for length in (5, 9, 3))
    packed = torch.cat((one, two, three), dim=1)
    segments = torch.tensor([[0] * 5 + [1] * 9 + [2] * 3])
    with torch.no_grad():
        together = model(packed, segments=segments)
        apart = torch.cat([model(part) for part in (one, two, three)], dim=1)
        seen = model(packed)
    # Rotary scores depend on distance alone, so a document may begin anywhere in the row.
    torch.testing.assert_close(together, apart, atol=2e-5, rtol=1e-5)
    assert float((seen - apart)[:, 5:].abs().max()) > 1e-2
    torch.testing.assert_close(seen[:, :5], apart[:, :5], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("at", [0, 7, 18])
def test_a_later_token_changes_no_earlier_logit(at: int) -> None:
    model = random_llama(4)
    ids = random_ids(1, 20, 320)
    other = ids.clone()
    other[0, at] = (other[0, at] + 1) % 320
    with torch.no_grad():
        before, after = model(ids), model(other)
    assert torch.equal(before[:, :at], after[:, :at])
    assert not torch.equal(before[:, at:], after[:, at:])


def test_order_matters() -> None:
    model = random_llama(5)
    with torch.no_grad():
        forth, back = model(torch.tensor([[1, 2, 3]])), model(torch.tensor([[2, 1, 3]]))
    assert float((forth - back)[0, -1].abs().max()) > 1e-3


def test_fresh_blocks_are_the_identity_and_seeds_decide() -> None:
    config = LlamaConfig(**SHAPE, n_kv_head=2)
    ids = random_ids(1, 6, SHAPE["vocab_size"])
    one, same, other = build(config, seed=1), build(config, seed=1), build(config, seed=2)
    x = one.embedding(ids)
    torch.testing.assert_close(one(ids), x / x.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, other.embedding.weight)
