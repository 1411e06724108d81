from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from tests.conftest import random_llama

from limpid.core.errors import LimpidError
from limpid.inference.engine import Engine
from limpid.inference.request import TokenEvent
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy, refresh
from limpid.models.decoder import Decoder

PROMPTS = [[5, 17, 40], [9], [100, 200, 300, 3, 2, 1, 250], [8, 8, 8, 8]]
NEVER: set[int] = set()


@pytest.fixture
def engine(llama: Decoder) -> Engine:
    return Engine(inference_copy(llama, torch.float32))


def rows(
    engine: Engine, prompts: list[list[int]], sampling: Sampling, **options: object
) -> dict[int, list[TokenEvent]]:
    found: dict[int, list[TokenEvent]] = defaultdict(list)
    for events in engine.generate(prompts, sampling, **({"stop_ids": NEVER} | options)):  # type: ignore[arg-type]
        for event in events:
            found[event.row].append(event)
    return dict(found)


def ids(events: list[TokenEvent]) -> list[int]:
    return [event.token_id for event in events]


def uncached(llama: Decoder, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """The plain way: the whole text through the model for every greedy token."""
    text, logprobs = list(prompt), []
    with torch.no_grad():
        for _ in range(count):
            scores = llama.head(llama(torch.tensor([text])))[0, -1].log_softmax(-1)
            text.append(int(scores.argmax()))
            logprobs.append(float(scores.max()))
    return text[len(prompt) :], logprobs


def test_cached_is_uncached_and_batched_is_single(engine: Engine, llama: Decoder) -> None:
    greedy = Sampling(temperature=0, max_tokens=20)
    together = rows(engine, PROMPTS, greedy)
    assert len(together) == len(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        expected, logprobs = uncached(llama, prompt, 20)
        assert ids(together[row]) == expected
        np.testing.assert_allclose([event.logprob for event in together[row]], logprobs, atol=1e-4)
        assert ids(rows(engine, [prompt], greedy)[0]) == expected
    assert len(set(ids(together[0]))) > 3  # a model that repeats one token would hide mistakes


def test_logits_are_the_models(engine: Engine, llama: Decoder) -> None:
    with torch.no_grad():
        expected = llama.head(llama(torch.tensor([PROMPTS[2]])))[0]
    torch.testing.assert_close(engine.logits(PROMPTS[2]), expected)


def test_copies_are_prompts_given_several_times(engine: Engine) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=12, seed=3)
    shared = rows(engine, PROMPTS[:2], sampling, copies=3)
    apart = rows(engine, [p for p in PROMPTS[:2] for _ in range(3)], sampling)
    assert [ids(shared[row]) for row in range(6)] == [ids(apart[row]) for row in range(6)]
    assert len({tuple(ids(shared[row])) for row in range(6)}) == 6


def test_a_row_is_the_same_whoever_stands_beside_it(engine: Engine) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=12, seed=11, top_p=0.9, repetition_penalty=1.3)
    together = rows(engine, PROMPTS, sampling)
    assert ids(rows(engine, PROMPTS[:1], sampling)[0]) == ids(together[0])
    swapped = rows(engine, [PROMPTS[0], PROMPTS[2], PROMPTS[1]], sampling, stop_ids=set(range(0, 320, 7)))
    expected = ids(together[0])
    end = next((i + 1 for i, token in enumerate(expected) if token % 7 == 0), len(expected))
    assert ids(swapped[0]) == expected[:end]
    assert ids(rows(engine, PROMPTS[:1], sampling.model_copy(update={"seed": 12}))[0]) != expected


def test_rows_that_end_early_leave_the_others_alone(engine: Engine) -> None:
    """Ended rows ride along for a while and are then dropped; both must not be felt."""
    greedy = Sampling(temperature=0, max_tokens=24)
    prompts = [[seed, 2 * seed + 1, 300 - seed] for seed in range(1, 13)]
    alone = {row: ids(rows(engine, [prompt], greedy)[0]) for row, prompt in enumerate(prompts)}
    stops = {alone[row][row % 9] for row in range(9)}
    together = rows(engine, prompts, greedy, stop_ids=stops)
    lengths = set()
    for row, tokens in alone.items():
        end = next((i + 1 for i, token in enumerate(tokens) if token in stops), len(tokens))
        assert ids(together[row]) == tokens[:end]
        finish = "stop" if tokens[end - 1] in stops else "length"
        assert [event.finish for event in together[row]] == [None] * (end - 1) + [finish]
        lengths.add(end)
    assert len(lengths) > 3


def test_the_context_is_the_limit(engine: Engine) -> None:
    long = [7] * 60
    found = rows(engine, [long, [7]], Sampling(max_tokens=50, seed=0))
    assert len(found[0]) == 4  # context 64
    assert found[0][-1].finish == "length"
    assert len(found[1]) == 50
    with pytest.raises(LimpidError, match="64 tokens and this model's context is 64"):
        rows(engine, [[7] * 64], Sampling())


def test_full_context_is_uncached(engine: Engine, llama: Decoder) -> None:
    prompt = [(3 * i) % 320 for i in range(50)]
    expected, _ = uncached(llama, prompt, 14)
    assert ids(rows(engine, [prompt], Sampling(temperature=0, max_tokens=99))[0]) == expected


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []]])
def test_nothing_to_answer(engine: Engine, prompts: list[list[int]]) -> None:
    with pytest.raises(LimpidError, match="prompt"):
        rows(engine, prompts, Sampling())


def test_cancelled_rows_are_dropped_before_the_next_step(engine: Engine) -> None:
    sampling = Sampling(temperature=0, max_tokens=10)
    whole = rows(engine, PROMPTS, sampling)
    cancelled: set[int] = set()
    found: dict[int, list[int]] = defaultdict(list)
    for step, events in enumerate(engine.generate(PROMPTS, sampling, stop_ids=NEVER, cancelled=cancelled)):
        for event in events:
            found[event.row].append(event.token_id)
        if step == 2:
            cancelled |= {0, 2}
    assert {row: len(tokens) for row, tokens in found.items()} == {0: 3, 1: 10, 2: 3, 3: 10}
    assert all(tokens == ids(whole[row])[: len(tokens)] for row, tokens in found.items())


def test_alternatives_and_logprobs(engine: Engine, llama: Decoder) -> None:
    sampling = Sampling(temperature=0.5, top_k=3, max_tokens=4, seed=2, alternatives=4, repetition_penalty=1.5)
    events = rows(engine, [PROMPTS[0]], sampling)[0]
    text = list(PROMPTS[0])
    for event in events:
        with torch.no_grad():
            logits = llama.head(llama(torch.tensor([text])))[0, -1]
        own = logits.softmax(-1)
        best = own.argsort(descending=True)[:4]
        assert [i for i, _ in event.alternatives] == best.tolist()
        np.testing.assert_allclose([p for _, p in event.alternatives], own[best].numpy(), rtol=1e-4)
        assert math.exp(event.logprob) == pytest.approx(float(own[event.token_id]), rel=1e-4)
        for token in set(text):
            logits[token] = logits[token] / 1.5 if logits[token] > 0 else logits[token] * 1.5
        top = logits.argsort(descending=True)[:3]
        assert event.token_id in top.tolist()
        drawn = (logits[top] / 0.5).softmax(-1)[top.tolist().index(event.token_id)]
        assert math.exp(event.sampled_logprob) == pytest.approx(float(drawn), rel=1e-4)
        chances = torch.full_like(logits, -math.inf).index_copy(0, top, logits[top] / 0.5).softmax(-1)
        np.testing.assert_allclose(event.chances, chances[best].numpy(), rtol=1e-4)
        text.append(event.token_id)
    assert rows(engine, [PROMPTS[0]], Sampling(max_tokens=1))[0][0].alternatives == []
    (greedy,) = rows(engine, [PROMPTS[0]], Sampling(temperature=0, max_tokens=1, alternatives=3))[0]
    assert greedy.chances == [1.0, 0.0, 0.0]


def test_without_a_seed_answers_differ(engine: Engine) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=16)
    assert ids(rows(engine, [[5]], sampling)[0]) != ids(rows(engine, [[5]], sampling)[0])


@pytest.mark.parametrize("tied", [False, True])
def test_inference_copy_follows_the_model(tied: bool) -> None:
    model = random_llama(0, tie_embeddings=tied)
    copy = inference_copy(model, torch.bfloat16)
    assert {p.dtype for p in copy.parameters() if p.dim() > 1} == {torch.bfloat16}
    assert {p.dtype for p in copy.parameters() if p.dim() == 1} == {torch.float32}
    assert not any(p.requires_grad for p in copy.parameters())
    assert (copy.head.weight is copy.embedding.weight) == tied
    with torch.no_grad():
        model.blocks[0].attention.output.weight.mul_(2)
        model.embedding.weight.add_(0.5)
    assert not torch.equal(copy.embedding.weight.float(), model.embedding.weight.bfloat16().float())
    refresh(copy, model)
    for mine, theirs in zip(copy.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs.to(mine.dtype))
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        close = torch.nn.functional.cosine_similarity(copy(ids, dtype=torch.bfloat16).float(), model(ids), dim=-1)
    assert float(close.min()) > 0.99
