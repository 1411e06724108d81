"""Lens, attribution, rollout, head scores, comparison: against their definitions, worked out from other numbers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.encoder_decoders import BART, MARIAN, random_transformer
from tests.models.references import reference
from tests.models.test_encoder import random_encoder
from tests.models.variants import VARIANTS, random_decoder

from limpid.core.errors import LimpidError
from limpid.inference.weights import inference_copy
from limpid.inspection.matrices import as_bytes, pooled
from limpid.inspection.trace import trace

IDS = [3, 5, 9, 2, 7, 11, 3, 5, 40, 41, 2, 7]
SEQUENCES = {"marian": MARIAN, "bart": BART, "transformer-pre": MARIAN | {"norm": "pre"}}


def raw_logits(model: Any, hidden: np.ndarray) -> np.ndarray:
    """Before any cap."""
    head = model.head
    bias = 0 if head.bias is None else head.bias.detach().double().numpy()
    return hidden.astype(np.float64) @ head.weight.detach().double().numpy().T + bias


@pytest.mark.parametrize("name", [*VARIANTS, *SEQUENCES])
def test_attribution_sums_to_the_logit_difference(name: str) -> None:
    if name in SEQUENCES:
        model: Any = random_transformer(3, **SEQUENCES[name])
        mine = trace(model, IDS, target=[4, 5, 6])
    else:
        model = random_decoder(name, 3)
        mine = trace(model, IDS)
    for at, token, against in ((-1, 5, 7), (1, 11, None), (2, None, None)):
        found = mine.attribution(token, against, at)
        scores = raw_logits(model, mine.hidden[at].numpy())
        wanted = scores[found.token_id] - (0 if against is None else scores[against])
        assert found.logit == pytest.approx(wanted, abs=1e-9)
        assert found.total == pytest.approx(wanted, abs=2e-6 * max(1.0, np.abs(scores).max()))
        assert sum(share for _, share in found.ranked()) == pytest.approx(found.total, abs=1e-9)
        for kind, table in found.heads.items():
            assert found.sources(1, 2, kind).sum() == pytest.approx(table[1, 2], abs=1e-6)
        if "n_expert" not in VARIANTS.get(name, {}):
            block = mine.main.blocks[1]
            bias: Any = block.feed_forward.down.bias  # type: ignore[union-attr]
            rest = 0.0 if bias is None else float(bias.detach().double() @ found.directions["mlp"][1])
            assert found.neurons(1).sum() + rest == pytest.approx(found.feed_forward[1], abs=1e-5)
        else:
            with pytest.raises(LimpidError, match="mixture of experts"):
                found.neurons(1)


@pytest.mark.parametrize("model", [random_decoder("gpt1", 3), random_decoder("gpt2", 3), random_transformer(**BART)])
def test_attribution_with_weights_of_fewer_bits(model: Any) -> None:
    """What rounding the sum of the embeddings did has a share of its own, and everything sums up again."""
    mine = trace(inference_copy(model, torch.bfloat16), IDS, target=[4, 5] if hasattr(model, "encoder") else None)
    found = mine.attribution(5, 7)
    assert 0 < abs(found.embeddings["rounding"]) < 0.05
    assert found.total == pytest.approx(found.logit, abs=1e-5)
    assert found.logit == pytest.approx(float(mine.logits()[5] - mine.logits()[7]), abs=1e-5)


def test_attribution_of_a_pre_norm_stream_by_hand() -> None:
    """gpt2: each head's output, over the final norm's deviation, along the unembedding."""
    model: Any = random_decoder("gpt2", 4)
    mine = trace(model, IDS)
    found = mine.attribution(5, 7)
    difference = (model.head.weight[5] - model.head.weight[7]).detach().double().numpy()
    along = difference * model.norm.weight.detach().double().numpy()
    stream = mine["blocks.2.hook_resid_post"][-1].astype(np.float64)
    deviation = np.sqrt(stream.var() + model.config.norm_eps)
    for layer in range(3):
        written = mine[f"blocks.{layer}.attn.hook_result"][-1].astype(np.float64)  # (H, D)
        shares = (written - written.mean(-1, keepdims=True)) / deviation @ along
        assert np.allclose(found.heads["attn"][layer], shares, atol=1e-6)


def test_a_capped_head_is_attributed_before_its_cap() -> None:
    model: Any = random_decoder("speedrun", 4)
    mine = trace(model, IDS)
    found = mine.attribution(5)
    cap = model.config.soft_cap
    assert cap * np.tanh(found.logit / cap) == pytest.approx(float(mine.logits()[5]), abs=1e-5)


def test_an_encoders_head_cannot_be_shared_out() -> None:
    with pytest.raises(LimpidError, match="not linear"):
        trace(random_encoder(), IDS).attribution(5)


@pytest.mark.parametrize("name", ["gpt1", "gpt2", "llama", "mixtral"])
def test_lens_is_the_early_exit_of_transformers(name: str) -> None:
    """Depth l says what a model of l layers with the same norm and head would: transformers' model, cut short."""
    model = random_decoder(name, 5)
    lens = trace(model, IDS).lens(4)
    theirs = reference(model)
    layers = theirs.transformer.h if name.startswith("gpt") else theirs.model.layers
    for depth in range(model.config.n_layer + 1):
        cut = copy.deepcopy(theirs)
        kept = torch.nn.ModuleList(list(copy.deepcopy(layers))[:depth])
        if name.startswith("gpt"):
            cut.transformer.h = kept
        else:
            cut.model.layers = kept
            cut.config.num_hidden_layers = cut.model.config.num_hidden_layers = depth
        with torch.no_grad():
            shares = cut(torch.tensor([IDS]), use_cache=False).logits[0].softmax(-1).double().numpy()
        assert np.array_equal(lens.ids[depth], np.argsort(-shares, axis=-1)[:, :4])
        assert np.allclose(lens.probabilities[depth], -np.sort(-shares, axis=-1)[:, :4], atol=1e-5)
        assert np.allclose(lens.entropy[depth], -(shares * np.log2(shares)).sum(-1), atol=1e-3)
        final = lens.ids[-1, :, 0]
        own = shares[np.arange(len(IDS)), final]
        assert np.allclose(lens.chances[depth], own, atol=1e-5)
        assert np.array_equal(lens.ranks[depth], 1 + (shares > own[:, None]).sum(-1))


@pytest.mark.parametrize("make", [
    lambda: trace(random_encoder(), IDS),
    lambda: trace(random_transformer(**MARIAN | {"norm": "pre"}), IDS, target=[4, 5]),
    lambda: trace(random_decoder("speedrun"), IDS),
], ids=["encoder", "transformer", "speedrun"])  # fmt: skip
def test_the_last_depth_is_the_models_own_answer(make: Any) -> None:
    mine = make()
    lens = mine.lens(3)
    for place in range(len(mine)):
        candidates = mine.next_tokens(3, place).candidates
        assert lens.ids[-1, place].tolist() == [c.token_id for c in candidates]
        assert np.allclose(lens.probabilities[-1, place], [c.probability for c in candidates], atol=1e-6)
    assert (lens.ranks[-1] == 1).all()


def test_rollout_is_the_product_of_halves() -> None:
    mine = trace(random_decoder("qwen3", 6), IDS)
    wanted = np.eye(len(IDS))
    for layer in range(mine.n_layer):
        wanted = (0.5 * mine.pattern(layer).astype(np.float64).mean(0) + 0.5 * np.eye(len(IDS))) @ wanted
    assert np.allclose(mine.rollout(), wanted, atol=1e-6)
    assert np.allclose(mine.rollout().sum(-1), 1, atol=1e-5)


def test_head_scores_by_definition() -> None:
    model = random_decoder("qwen3", 7)
    mine = trace(model, IDS)
    scores = mine.head_scores(length=9, seed=3)
    for layer in range(3):
        pattern = mine.pattern(layer)
        assert np.allclose(scores.previous[layer], [np.diagonal(p, -1).mean() for p in pattern], atol=1e-6)
        assert np.allclose(scores.first[layer], pattern[:, 1:, 0].mean(-1), atol=1e-6)
    assert scores.best("first") == np.unravel_index(scores.first.argmax(), scores.first.shape)
    again = mine.head_scores(length=9, seed=3)
    assert np.array_equal(scores.induction, again.induction)
    assert not np.array_equal(scores.induction, mine.head_scores(length=9, seed=4).induction)
    assert mine.head_scores().length == 32  # half of a context of 64
    with pytest.raises(
        LimpidError, match="40 random tokens said twice do not fit: this model's context allows 2 to 32"
    ):
        mine.head_scores(length=40)


def test_a_head_that_was_built_to_look_back_is_found() -> None:
    """One head whose score is largest one place back, by rotary positions alone: others look everywhere alike."""
    model: Any = random_decoder("llama", 8, n_kv_head=4, rope_base=10_000.0)
    config, attention = model.config, model.blocks[1].attention
    width = config.head_dim
    with torch.no_grad():
        attention.qkv.weight[: 2 * config.n_head * width] = 0  # no head looks at anything
        model.embedding.weight[:, 0] = 5.0  # a number that all tokens share
        model.blocks[0].attention.output.weight.zero_()
        model.blocks[0].feed_forward.down.weight.zero_()
        norm = model.blocks[1].attention_norm.weight
        back = 40.0 / float(norm[0])
        # Head 2: the query is the key turned back by one place, pair by pair.
        for pair in range(width // 2):
            turn = config.rope_base ** (-2 * pair / width)
            query, key = 2 * width + pair, (config.n_head + 2) * width + pair
            attention.qkv.weight[query, 0] = back * np.cos(turn)
            attention.qkv.weight[query + width // 2, 0] = back * -np.sin(turn)
            attention.qkv.weight[key, 0] = 1.0
    scores = trace(model, IDS).head_scores()
    assert scores.best("previous") == (1, 2)
    assert scores.previous[1, 2] > 0.9
    assert np.allclose(scores.previous[1, [0, 1, 3]], np.mean([1 / (t + 1) for t in range(1, 12)]), atol=1e-5)


def test_duplicate_and_induction_diagonals(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is averaged is the attention of the second half, to the same token and to the one after it."""
    from limpid.inspection.stack import Stack

    mine = trace(random_decoder("qwen3", 7), IDS)

    def marked(self: Stack, layer: int, head: int, *_: object) -> torch.Tensor:
        length = len(self.ids)
        pattern = torch.zeros(length, length)
        if length == 16:  # the random row of 8, said twice
            assert self.ids[:8] == self.ids[8:]
            for t in range(8, 16):
                assert self.ids[t] == self.ids[t - 8]
                pattern[t, t - 8] = 0.25
                pattern[t, t - 7] = 0.5
        return pattern

    monkeypatch.setattr(Stack, "matrix", marked)
    scores = mine.head_scores(length=8)
    assert (scores.duplicate == 0.25).all()
    assert (scores.induction == 0.5).all()


def test_head_scores_of_an_encoder_decoder_are_of_its_decoder() -> None:
    mine = trace(random_transformer(**MARIAN), IDS, target=[4, 5, 6])
    scores = mine.head_scores()
    assert scores.length == 23  # (48 - the start mark) / 2
    assert scores.induction.shape == (3, 4)


def test_comparison_by_hand() -> None:
    first, second = random_decoder("qwen3", 1), random_decoder("qwen3", 2)
    one, other = trace(first, IDS), trace(second, IDS)
    found = one.compare(other)
    p, q = one["probabilities"].astype(np.float64), other["probabilities"].astype(np.float64)
    assert np.allclose(found.divergence, (p * np.log2(p / q)).sum(-1), atol=1e-4)
    assert np.array_equal(found.agree, p.argmax(-1) == q.argmax(-1))
    assert found.attention is not None
    assert found.residual is not None
    apart = np.abs(one.pattern(1, 2) - other.pattern(1, 2)).sum(-1).mean() / 2
    assert found.attention[1, 2] == pytest.approx(apart, abs=1e-6)
    a, b = one["blocks.2.hook_resid_pre"][3], other["blocks.2.hook_resid_pre"][3]
    assert found.residual[2, 3] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    same = one.compare(trace(first, IDS))
    assert same.divergence.max() == 0
    assert same.agree.all()
    narrow = one.compare(trace(random_decoder("gpt2", n_head=2), IDS))
    assert narrow.attention is None
    with pytest.raises(LimpidError, match="not of the same tokens"):
        one.compare(trace(second, IDS[:-1]))
    with pytest.raises(LimpidError, match="different tokens or classes"):
        one.compare(trace(random_decoder("qwen3", vocab_size=90), IDS))


@pytest.mark.parametrize("length", [5, 64, 100, 130])
def test_thumbnails_are_the_largest_of_what_they_stand_for(length: int) -> None:
    weights = torch.rand(length, length, generator=torch.Generator().manual_seed(length)).tril().numpy()
    size = min(64, length)
    wanted = np.zeros((size, size))
    edges = [(n * length // size, -(-(n + 1) * length // size)) for n in range(size)]
    for row, (top, bottom) in enumerate(edges):
        for column, (left, right) in enumerate(edges):
            wanted[row, column] = weights[top:bottom, left:right].max()
    small = pooled(torch.from_numpy(weights), 64).numpy()
    assert np.array_equal(small, wanted.astype(np.float32))
    assert np.abs(as_bytes(torch.from_numpy(small)).numpy() / 255 - small).max() <= 1 / 510 + 1e-6


def test_thumbnails_of_every_head() -> None:
    mine = trace(random_decoder("qwen3"), IDS)
    small = mine.thumbnails(8)
    assert small.shape == (3, 4, 8, 8)
    assert small.dtype == np.uint8
    assert np.array_equal(small[1, 2], as_bytes(pooled(torch.from_numpy(mine.pattern(1, 2)), 8)).numpy())
    whole = mine.thumbnails()
    assert np.abs(whole / 255 - np.stack([mine.pattern(layer) for layer in range(3)])).max() <= 1 / 510 + 1e-6
