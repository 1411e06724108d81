"""What holds of every decoder, whatever its family: cache, batches, causality, optimizers, checkpoints, training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_parity import random_ids
from tests.models.variants import VARIANTS, random_decoder

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.data.batches import Batch
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.registry import FAMILIES, build
from limpid.parallel.environment import World
from limpid.stages.events import Evaluated
from limpid.stages.pretrain import pretrain
from limpid.stages.recipe import Recipe
from limpid.training.objectives.next_token import NextToken
from limpid.training.optim import OptimSection, build_optimizers

ALONE = World(0, 1, torch.device("cpu"))
PROMPTS = [[5, 17, 40], [9], [90, 20, 30, 3, 2, 1, 25, 7, 7, 6, 80, 44], [8, 8, 8, 8]]


@pytest.mark.parametrize("name", VARIANTS)
def test_cached_is_uncached_and_batched_is_single(name: str) -> None:
    model = random_decoder(name, 1)
    engine = Engine(inference_copy(model, torch.float32))
    greedy = Sampling(temperature=0, max_tokens=24)
    found: list[list[Any]] = [[] for _ in PROMPTS]
    for events in engine.generate(PROMPTS, greedy, stop_ids=set()):
        for event in events:
            found[event.row].append(event)
    for prompt, answer in zip(PROMPTS, found, strict=True):
        text = [*prompt, *(event.token_id for event in answer)]
        with torch.no_grad():
            scores = model.head(model(torch.tensor([text])))[0].float().log_softmax(-1)[len(prompt) - 1 : -1]
        assert scores.argmax(-1).tolist() == text[len(prompt) :]
        np.testing.assert_allclose([event.logprob for event in answer], scores.max(-1).values, atol=1e-4)
        alone = [event.token_id for (event,) in engine.generate([prompt], greedy, stop_ids=set())]
        assert alone == text[len(prompt) :]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_later_token_changes_no_earlier_state(name: str) -> None:
    model = random_decoder(name, 2)
    ids = random_ids(1, 20)
    other = ids.clone()
    other[0, 11] = (other[0, 11] + 1) % 97
    with torch.no_grad():
        before, after = model(ids), model(other)
    torch.testing.assert_close(before[:, :11], after[:, :11], atol=1e-6, rtol=0)
    assert float((before - after)[:, 11:].abs().amax(-1).min()) > 1e-6


@pytest.mark.parametrize(("name", "layers"), [("mistral", 3), ("speedrun", 3)])
def test_a_window_ends_where_it_says(name: str, layers: int) -> None:
    """A chain of windows: through ``layers`` of them of width w, a token reaches layers x (w - 1) places back."""
    window = 4
    model = random_decoder(name, 3, window=window, **({"long_every": 99} if name == "speedrun" else {}))
    windows = [w for w in model.windows if w]
    ids = random_ids(1, 40)
    other = ids.clone()
    other[0, 0] = (other[0, 0] + 1) % 97
    with torch.no_grad():
        changed = (model(ids) - model(other))[0].abs().amax(-1) > 0
    reach = len(windows) * (window - 1)
    if len(windows) == layers:
        assert changed.nonzero().max() == reach
    else:  # the last layer of a speedrun sees all
        assert changed.all()
        model.windows = [window] * layers
        with torch.no_grad():
            changed = (model(ids) - model(other))[0].abs().amax(-1) > 0
        assert changed.nonzero().max() == layers * (window - 1)


def test_windows_hold_within_documents_too() -> None:
    model = random_decoder("mistral", 4)
    one, two = random_ids(1, 13, seed=1), random_ids(1, 21, seed=2)
    segments = torch.tensor([[0] * 13 + [1] * 21])
    with torch.no_grad():
        together = model(torch.cat((one, two), 1), segments=segments)
        apart = torch.cat((model(one), model(two)), 1)
    torch.testing.assert_close(together, apart, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_documents_in_one_row_are_read_as_if_each_were_alone(name: str) -> None:
    model = random_decoder(name)
    ids = [random_ids(1, length, seed=length) for length in (3, 9, 5)]
    segments = torch.tensor([[1] * 3 + [2] * 9 + [3] * 5])
    with torch.no_grad():
        together = model(torch.cat(ids, 1), segments=segments)
        apart = torch.cat([model(each) for each in ids], 1)
    torch.testing.assert_close(together, apart, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_parameter_has_one_optimizer(name: str, kind: str) -> None:
    model = build(random_decoder(name).config, seed=0)
    optimizers = build_optimizers(model, OptimSection(kind=kind), model.config.d_model, torch.float32)
    groups = [p for part in optimizers.parts for group in part.param_groups for p in group["params"]]
    assert len(groups) == len(set(groups))
    assert set(groups) == set(model.parameters())
    if kind == "muon":
        muon = {p for group in optimizers.parts[0].param_groups for p in group["params"]}
        tables = {p for n, p in model.named_parameters() if "embedding" in n or "positions" in n or n == "head.weight"}
        assert not muon & tables
        assert all(p.dim() >= 2 for p in muon)
    before = [p.detach().clone() for p in model.parameters()]
    batch = Batch(random_ids(2, 16), random_ids(2, 16, seed=9), torch.ones(2, 16), None)
    for _ in range(2):  # what writes into the residual stream begins at zero and hides what is behind it
        optimizers.zero_grad()
        NextToken(torch.float32)(model, batch).backward()
        optimizers.step(1.0)
    moved = [not torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True)]
    names = [n for n, _ in model.named_parameters()]
    assert all(moved), [n for n, m in zip(names, moved, strict=True) if not m]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_checkpoint_gives_back_the_same_model(name: str, tmp_path: Path, char_tokenizer: Any) -> None:
    model = random_decoder(name, 5, vocab_size=char_tokenizer.vocab_size)
    store.write(tmp_path / "one", model, char_tokenizer, {"stage": "pretrain", "step": 1}, ALONE)
    again = store.read(tmp_path / "one")
    assert again.config == model.config
    for (n, p), (m, q) in zip(model.named_parameters(), again.model.named_parameters(), strict=True):
        assert n == m
        assert torch.equal(p, q)


@pytest.mark.parametrize("name", VARIANTS)
def test_compute_in_bfloat16_stays_near(name: str) -> None:
    model = random_decoder(name, 6)
    ids = random_ids(2, 20)
    with torch.no_grad():
        exact = model.head(model(ids)).softmax(-1)
        hidden = inference_copy(model, torch.bfloat16)(ids, dtype=torch.bfloat16)
        assert hidden.dtype == torch.bfloat16
        rough = model.head(hidden.float()).softmax(-1)
    assert float((exact - rough).abs().mean()) < 3e-3


SMALL: dict[str, dict[str, Any]] = {
    "llama": {"head_dim": 16},
    "llama experts": {"head_dim": 16, "n_expert": 4, "d_ff": 32, "balance_loss": 0.05, "window": 9},
    "gpt": {"n_head": 2},
    "gpt sinusoidal": {"n_head": 2, "positions": "sinusoidal", "activation": "relu"},
    "gpt post-norm": {"n_head": 2, "norm": "post"},
    "speedrun": {"head_dim": 16},
}


@pytest.mark.parametrize("which", SMALL)
def test_a_tiny_one_of_each_family_learns_and_can_be_read_again(which: str, tmp_path: Path) -> None:
    text = tmp_path / "corpus.txt"
    text.write_text("\n".join(f"the cat number {i} sat on mat {i % 7} and slept" for i in range(400)), encoding="utf-8")
    family = which.split()[0]
    table = {
        "data": {"path": str(text)},
        "tokenizer": {"kind": "char"},
        "model": {"family": family, "depth": 2, "d_model": 32, "context": 32, "dropout": 0.1} | SMALL[which],
        "train": {"steps": 30, "tokens_per_step": 512, "micro_tokens": 256, "dtype": "float32", "compile": False},
        "schedule": {"warmup_steps": 2},
        "eval": {"every": 10, "tokens": 512},
    }
    events = list(pretrain(parse(Recipe, table, which), tmp_path / "run", ALONE))
    nats = [e.values["validation_nats"] for e in events if isinstance(e, Evaluated)]
    checkpoint = store.read(tmp_path / "run")
    assert nats[-1] < nats[0] < math.log(checkpoint.config.vocab_size)  # some learn this text slowly, all do learn
    assert nats[-1] < 0.8 * math.log(checkpoint.config.vocab_size)
    assert checkpoint.config.family == family
    engine = Engine(inference_copy(checkpoint.model, torch.float32))
    prompt = checkpoint.tokenizer.encode("the cat")
    events = list(engine.generate([prompt], Sampling(temperature=0, max_tokens=8), stop_ids=set()))
    assert len(events) == 8


def test_every_family_of_decoders_is_trained_here() -> None:
    there = {name for name, family in FAMILIES.items() if family.kind.noun == "a decoder"}
    assert there == {which.split()[0] for which in SMALL}


def test_a_text_longer_than_the_context_is_refused_in_one_line() -> None:
    engine = Engine(random_decoder("gpt2"))
    with pytest.raises(LimpidError, match="65 tokens and this model's context is 64"):
        engine.logits([1] * 65)


def test_the_balance_of_experts_enters_training_and_spreads_the_work() -> None:
    batch = Batch(random_ids(4, 32), random_ids(4, 32, seed=9), torch.ones(4, 32), None)

    def imbalance(balance_loss: float) -> float:
        model = random_decoder("mixtral", 7, balance_loss=balance_loss, window=0)
        router = [p for n, p in model.named_parameters() if "router" in n]
        optimizer = torch.optim.Adam(router, lr=0.05)
        for _ in range(30):
            optimizer.zero_grad()
            (NextToken(torch.float32)(model, batch) / batch.total_weight).backward()
            optimizer.step()
        penalties: list[torch.Tensor] = []
        with torch.no_grad():
            model(batch.inputs, penalties=penalties)
        return float(sum(penalties)) / (balance_loss * len(penalties))

    assert imbalance(1.0) < 2.1 < imbalance(1e-9)  # 2 experts a token: 2 is perfect


def test_the_penalty_counts_once_a_weighted_token() -> None:
    model = random_decoder("mixtral", 8, balance_loss=0.5)
    weights = torch.ones(2, 16)
    weights[0, :5] = 0
    batch = Batch(random_ids(2, 16), random_ids(2, 16, seed=9), weights, None)
    bare = random_decoder("mixtral", 8, balance_loss=0.0)
    penalties: list[torch.Tensor] = []
    with torch.no_grad():
        model(batch.inputs, penalties=penalties)
        with_penalty, without = NextToken(torch.float32)(model, batch), NextToken(torch.float32)(bare, batch)
    assert len(penalties) == 3
    assert float(with_penalty - without) == pytest.approx(27 * float(sum(penalties)), rel=1e-3)
