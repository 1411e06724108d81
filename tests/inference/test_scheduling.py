"""Many requests in one engine: whoever comes, goes or shares a beginning, every answer is what it would be alone."""

from __future__ import annotations

import random

import pytest
import torch
from tests.conftest import random_llama

from limpid.core.errors import LimpidError
from limpid.inference import engine as engine_module
from limpid.inference.engine import Busy, Engine
from limpid.inference.request import Request, TokenEvent
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy


def fresh(**options: int) -> Engine:
    return Engine(inference_copy(random_llama(seed=5), torch.float32), **options)


def alone(prompt: list[int], sampling: Sampling, row: int = 0) -> list[int]:
    engine = fresh()
    request = engine.submit(prompt, sampling, row=row)
    while not request.ended:
        engine.step()
    return request.said


def prompts(count: int, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    shared = [rng.randrange(320) for _ in range(20)]
    return [
        shared[: rng.randrange(20)] + [rng.randrange(320) for _ in range(rng.randrange(1, 20))] for _ in range(count)
    ]


def test_requests_that_come_and_go_at_any_time_get_the_answers_they_would_get_alone():
    engine, rng = fresh(rows=5), random.Random(1)
    asked: list[tuple[Request, list[int], Sampling, int]] = []
    cancelled: set[int] = set()
    todo = list(enumerate(prompts(40)))
    while todo or engine.busy:
        for _ in range(rng.randrange(4)):
            if todo:
                row, prompt = todo.pop()
                sampling = Sampling(
                    temperature=rng.choice([0.0, 0.7, 1.3]), top_p=rng.choice([1.0, 0.8]), seed=row,
                    frequency_penalty=rng.choice([0.0, 0.5]), max_tokens=rng.randrange(1, 24),
                )  # fmt: skip
                asked.append((engine.submit(prompt, sampling, row=row), prompt, sampling, row))
        engine.step()
        if rng.random() < 0.1 and asked:
            request, _, _, row = rng.choice(asked)
            if not request.ended:
                engine.cancel(request)
                cancelled.add(row)
        assert engine.load["running"] <= 5
    assert len(cancelled) >= 3
    for request, prompt, sampling, row in asked:
        expected = alone(prompt, sampling, row)
        assert request.said == (expected[: len(request.said)] if row in cancelled else expected)


def pieces_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Fills with the lengths of the pieces of every step."""
    read: list[list[int]] = []
    forward = engine.forward
    monkeypatch.setattr(
        engine, "forward", lambda rows, pieces: (read.append([len(p.ids) for p in pieces]), forward(rows, pieces))[1]
    )
    return read


def test_a_prompt_takes_over_what_a_row_remembers_and_reads_only_the_rest(monkeypatch):
    engine = fresh()
    read = pieces_read(engine, monkeypatch)
    greedy = Sampling(temperature=0, max_tokens=4)
    first = engine.submit(list(range(10, 40)), greedy)
    while not first.ended:
        engine.step()
    again = list(range(10, 40)) + first.said + [7, 8]
    read.clear()
    second = engine.submit(again, greedy)
    engine.step()
    assert read == [[3]]  # 33 of 36 tokens are there already
    assert engine.rows.texts[0] == again
    while not second.ended:
        engine.step()
    assert second.said == alone(again, greedy)
    assert engine.rows.busy == 0


def test_samples_of_one_prompt_read_it_once(monkeypatch):
    engine = fresh()
    read = pieces_read(engine, monkeypatch)
    for _ in engine.generate([list(range(30))], Sampling(seed=0, max_tokens=3), stop_ids=(), copies=6):
        pass
    assert read[0] == [30]
    assert read[1] == [1] * 6  # one speaks; the other five read the last token only


def test_new_weights_forget_what_was_read_with_the_old():
    engine, prompt = fresh(), list(range(10, 40))
    greedy = Sampling(temperature=0, max_tokens=6)
    before = [e.token_id for (e,) in engine.generate([prompt], greedy, stop_ids=())]
    engine.refresh(random_llama(seed=6))
    after = [e.token_id for (e,) in engine.generate([prompt], greedy, stop_ids=())]
    other = Engine(inference_copy(random_llama(seed=6), torch.float32))
    assert after == [e.token_id for (e,) in other.generate([prompt], greedy, stop_ids=())]
    assert after != before


def test_a_long_prompt_is_read_in_parts_while_others_speak(monkeypatch):
    monkeypatch.setattr(engine_module, "READ_TOKENS", 8)
    engine, greedy = fresh(), Sampling(temperature=0, max_tokens=12)
    short = engine.submit([3, 4], greedy)
    engine.step()
    long = engine.submit(list(range(40)), greedy)
    for _ in range(4):
        events = engine.step()
        assert [event.request for event in events] == [short]  # it goes on meanwhile
    while engine.busy:
        engine.step()
    assert short.said == alone([3, 4], greedy)
    assert long.said == alone(list(range(40)), greedy)


def test_a_cancelled_request_frees_its_row_at_once():
    engine = fresh(rows=1)
    first = engine.submit([1, 2], Sampling(max_tokens=50))
    second = engine.submit([3], Sampling(temperature=0, max_tokens=2))
    engine.step()
    assert engine.load == {"waiting": 1, "running": 1, "rows": 1}
    engine.cancel(first)
    assert [event.request for event in engine.step()] == [second]
    assert first.ended


def test_the_queue_is_bounded():
    engine = fresh(rows=1, waiting=2)
    engine.submit([1], Sampling())
    engine.submit([1], Sampling())
    with pytest.raises(Busy, match="2 requests are waiting"):
        engine.submit([1], Sampling())


def test_two_streams_of_one_engine_may_be_read_in_turn():
    engine = fresh()
    greedy = Sampling(temperature=0, max_tokens=9)
    streams = [engine.generate([prompt], greedy, stop_ids=()) for prompt in ([5, 6], [7])]
    said: list[list[int]] = [[], []]
    for pair in zip(*streams, strict=True):
        for number, events in enumerate(pair):
            said[number] += [event.token_id for event in events]
    assert said == [alone([5, 6], greedy), alone([7], greedy)]


def test_a_stream_that_is_left_frees_its_row():
    engine = fresh()
    stream = engine.generate([[5, 6]], Sampling(max_tokens=50), stop_ids=())
    next(stream)
    assert engine.load["running"] == 1
    stream.close()
    assert engine.load["running"] == 0


def test_penalties_and_bias_are_what_their_formulas_say():
    """The API's own: score - frequency * times said - presence * (said at all) + bias."""
    engine, model = fresh(), random_llama(seed=5)
    sampling = Sampling(
        temperature=0, max_tokens=15, frequency_penalty=1.5, presence_penalty=0.7, logit_bias=((3, 4.0), (9, -100.0))
    )
    request = engine.submit([9, 9, 9], sampling)
    events: list[TokenEvent] = []
    while not request.ended:
        events += engine.step()
    text: list[int] = []
    for event in events:
        with torch.no_grad():
            scores = model.head(model(torch.tensor([[9, 9, 9, *text]])))[0, -1]
        assert event.logprob == pytest.approx(float(scores.log_softmax(-1)[event.token_id]), abs=1e-4)
        for token in set(text):
            scores[token] -= 1.5 * text.count(token) + 0.7
        scores[3] += 4
        scores[9] -= 100
        assert int(scores.argmax()) == event.token_id
        text.append(event.token_id)
    assert len(set(text)) > 3


def test_a_prompt_without_room_is_refused():
    with pytest.raises(LimpidError, match="64 tokens and this model's context is 64"):
        fresh().submit([1] * 64, Sampling())
