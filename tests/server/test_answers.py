"""Chat and text completions through HTTP, against what the engine and the tokenizer say by themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from tests.server.conftest import Served

import limpid
from limpid.inference.language_model import LanguageModel
from limpid.server import runner as runner_module

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
USER = {"role": "user", "content": "床前 the cat?"}
PICK = {
    "type": "function",
    "function": {"name": "pick", "parameters": {"type": "object", "properties": {"n": {"enum": [1, 2, 3]}},
                                                "required": ["n"], "additionalProperties": False}},
}  # fmt: skip
SAY = {
    "type": "function",
    "function": {"name": "say", "parameters": {"$defs": {"w": {"enum": ["a", "床"]}}, "type": "object",
                                               "properties": {"word": {"$ref": "#/$defs/w"}}, "required": ["word"],
                                               "additionalProperties": False}},
}  # fmt: skip


@pytest.fixture(scope="session")
def twin(run: Any) -> LanguageModel:
    """The same model, asked without a server."""
    return limpid.load(run, device="cpu", dtype="float32")


@pytest.fixture
def ai(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [USER], "max_tokens": 12, "seed": 3} | fields


def stream(http: httpx.Client, path: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    with http.stream("POST", path, json=fields | {"stream": True}) as response:
        assert response.status_code == 200, response.read()
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


@pytest.mark.parametrize(
    "settings", [{"temperature": 0}, {"temperature": 1.2, "top_p": 0.9}, {"temperature": 1, "top_k": 9}]
)
def test_the_answer_is_the_engines(ai: openai.OpenAI, twin: LanguageModel, settings: dict[str, Any]) -> None:
    known = {"max_tokens": 12, "seed": 3} | settings
    extra = {"top_k": settings.pop("top_k")} if "top_k" in settings else {}
    found = ai.chat.completions.create(**body(**settings), extra_body=extra)
    assert found.choices[0].message.content == twin.chat([USER], **known)
    text = ai.completions.create(model="tiny", prompt="The cat", seed=3, max_tokens=12, **settings, extra_body=extra)
    assert text.choices[0].text == twin.generate("The cat", **known)


def test_defaults_are_openais(ai: openai.OpenAI, twin: LanguageModel) -> None:
    text = ai.completions.create(model="tiny", prompt="The cat", seed=3)
    assert text.choices[0].text == twin.generate("The cat", seed=3, temperature=1.0, max_tokens=16)
    assert text.usage is not None
    assert text.usage.completion_tokens == 16


def test_a_model_need_not_be_named(http: httpx.Client) -> None:
    """null is absent, and absent is the first that is served."""
    plain = http.post(CHAT, json=body()).json()
    for fields in ({"model": None}, {}):
        asked = body() | fields
        if not fields:
            del asked["model"]
        found = http.post(CHAT, json=asked).json()
        assert (found["model"], found["choices"]) == ("tiny", plain["choices"])


@pytest.mark.parametrize("fields", [{}, {"stop": ["e", "zz"]}, {"n": 3}, {"temperature": 0}])
def test_streamed_is_unstreamed_with_every_token(http: httpx.Client, fields: dict[str, Any]) -> None:
    asked = body(logprobs=True, top_logprobs=2, max_tokens=30) | fields
    whole = http.post(CHAT, json=asked).json()
    chunks = stream(http, CHAT, asked | {"stream_options": {"include_usage": True}})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        mine = [c for chunk in chunks[:-1] for c in chunk["choices"] if c["index"] == choice["index"]]
        assert mine[0]["delta"]["role"] == "assistant"
        assert "".join(c["delta"].get("content", "") for c in mine) == choice["message"]["content"]
        tokens = [t for c in mine if c["logprobs"] for t in c["logprobs"]["content"]]
        assert tokens == choice["logprobs"]["content"]
        assert [c["finish_reason"] for c in mine if c["finish_reason"]] == [choice["finish_reason"]]
        assert mine[-1]["finish_reason"]


def test_echo_scores_the_prompt(http: httpx.Client, twin: LanguageModel) -> None:
    ids = twin.tokenizer.encode("床前 the cat")
    asked = {"model": "tiny", "prompt": "床前 the cat", "echo": True, "logprobs": 2, "max_tokens": 0, "seed": 1}
    found = http.post(TEXT, json=asked).json()
    lists = found["choices"][0]["logprobs"]
    assert found["choices"][0]["text"] == "".join(lists["tokens"]) == "床前 the cat"
    assert found["usage"] == {"prompt_tokens": len(ids), "completion_tokens": 0, "total_tokens": len(ids)}
    scores = twin.logits(ids)
    for place in range(1, len(ids)):
        row = scores[place - 1].astype(float)
        wanted = row[ids[place]] - row.max() - np.log(np.exp(row - row.max()).sum())
        assert lists["token_logprobs"][place] == pytest.approx(wanted, abs=1e-4)
        assert 2 <= len(lists["top_logprobs"][place]) <= 3
    more = http.post(TEXT, json=asked | {"max_tokens": 3}).json()["choices"][0]["logprobs"]
    assert more["tokens"][: len(ids)] == lists["tokens"]
    assert len(more["tokens"]) == len(ids) + 3
    streamed = stream(http, TEXT, asked | {"max_tokens": 3})
    pieces = [c["logprobs"] for chunk in streamed for c in chunk["choices"] if c["logprobs"]]
    for name in ("tokens", "text_offset"):
        assert [item for piece in pieces for item in piece[name]] == more[name]
    values = [value for piece in pieces for value in piece["token_logprobs"]]
    assert values[1:] == pytest.approx(more["token_logprobs"][1:], abs=1e-4)


def test_the_best_of_several(http: httpx.Client) -> None:
    asked = {"model": "tiny", "prompt": "The cat", "seed": 1, "logprobs": 0, "max_tokens": 6}
    every = http.post(TEXT, json=asked | {"n": 4}).json()
    best = http.post(TEXT, json=asked | {"n": 2, "best_of": 4}).json()

    def mean(choice: dict[str, Any]) -> float:
        values = choice["logprobs"]["token_logprobs"]
        return float(sum(values) / len(values))

    ranked = sorted(every["choices"], key=mean, reverse=True)[:2]
    assert [choice["text"] for choice in best["choices"]] == [choice["text"] for choice in ranked]
    assert [choice["index"] for choice in best["choices"]] == [0, 1]
    assert best["usage"] == every["usage"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "say"}}])
def test_forced_calls(http: httpx.Client, choice: Any, streamed: bool) -> None:
    names = set()
    for seed in range(6):
        asked = body(tools=[PICK, SAY], tool_choice=choice, seed=seed, max_tokens=60)
        if streamed:
            parts = [c["delta"] for chunk in stream(http, CHAT, asked) for c in chunk["choices"]]
            calls = [call for part in parts for call in part.get("tool_calls", [])]
            assert [call["index"] for call in calls] == [0] * len(calls)
            assert ["id" in call for call in calls] == [True] + [False] * (len(calls) - 1)
            name = calls[0]["function"]["name"]
            arguments = "".join(call["function"]["arguments"] for call in calls)
            assert not any(part.get("content") for part in parts)
        else:
            found = http.post(CHAT, json=asked).json()["choices"][0]
            (call,) = found["message"]["tool_calls"]
            assert found["message"]["content"] is None
            assert found["finish_reason"] == "tool_calls"
            name, arguments = call["function"]["name"], call["function"]["arguments"]
        table = json.loads(arguments)
        assert table in ([{"n": n} for n in (1, 2, 3)] if name == "pick" else [{"word": "a"}, {"word": "床"}])
        names.add(name)
    assert names == ({"pick", "say"} if choice == "required" else {"say"})


def test_an_unfinished_call_is_cut_where_it_stands(http: httpx.Client) -> None:
    named = {"type": "function", "function": {"name": "say"}}
    found = http.post(CHAT, json=body(tools=[SAY], tool_choice=named, max_tokens=3)).json()["choices"][0]
    assert found["finish_reason"] == "length"
    assert '{"word": '.startswith(found["message"]["tool_calls"][0]["function"]["arguments"])


def test_answers_that_end_at_the_end_of_a_turn(http: httpx.Client, server: Served) -> None:
    end = str(server.model("tiny").tokenizer.end_of_turn)
    found = http.post(CHAT, json=body(logit_bias={end: 100}, logprobs=True)).json()
    assert found["choices"][0]["message"]["content"] == ""
    assert found["choices"][0]["logprobs"]["content"] == []
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"]["completion_tokens"] == 1
    chunks = stream(http, CHAT, body(logit_bias={end: 100}))
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]] == [None, "stop"]


# ------------------------------------------------------------------ who comes and goes


def metric(server: Served, name: str) -> float:
    lines = server.state.metrics.render().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


def until(condition: Any, seconds: float = 20) -> None:
    """Wait for a condition, by the number of looks: a machine that was stopped meanwhile has lost no time."""
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come about")


@contextmanager
def talking(server: Served, count: int) -> Iterator[list[httpx.Response]]:
    """So many long streams under way, the first words of each received."""
    with server.http() as http:
        responses = []
        for _ in range(count):
            asked = body(temperature=0, max_tokens=480, stream=True)
            response = http.send(http.build_request("POST", CHAT, json=asked), stream=True)
            assert response.status_code == 200
            responses.append(response)
        try:
            yield responses
        finally:
            for response in responses:
                response.close()


def idle(server: Served) -> bool:
    names = ("limpid_requests_running", "limpid_requests_waiting", "limpid_cache_rows_in_use")
    return not any(metric(server, name) for name in names)


def slow_down(server: Served, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every step of the engine take longer, so that answers are under way while the test looks."""
    engine = server.model("tiny").runner.engine  # type: ignore[attr-defined]
    honest = engine.step

    def step() -> Any:
        time.sleep(seconds)
        return honest()

    monkeypatch.setattr(engine, "step", step)


def test_who_leaves_frees_the_row_before_the_next_token(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(server, monkeypatch, 0.02)
    with talking(server, 1):
        until(lambda: metric(server, "limpid_cache_rows_in_use") == 1)
        said = metric(server, "limpid_generated_tokens_total")
    until(lambda: idle(server))
    assert metric(server, "limpid_generated_tokens_total") - said < 100  # of 480


def test_who_leaves_before_the_answer_is_heard_too(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(server, monkeypatch, 0.02)
    with server.http() as http, pytest.raises(httpx.ReadTimeout):
        http.post(CHAT, json=body(temperature=0, max_tokens=480), timeout=0.3)
    until(lambda: idle(server))


def test_prompts_that_are_nearly_ready_are_read_together(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "GATHER_SECONDS", 20.0)
    runner = server.model("tiny").runner
    until(lambda: idle(server))
    begun: list[int] = []
    honest = runner._begin

    def begin(answer: Any) -> None:
        begun.append(len(runner._waiting))  # those taken in with it
        honest(answer)

    monkeypatch.setattr(runner, "_begin", begin)
    with ThreadPoolExecutor() as pool, server.http() as http:
        with runner.expecting():  # a third request, which will come to nothing
            asked = [pool.submit(http.post, CHAT, json=body(seed=seed)) for seed in (1, 2)]
            until(lambda: len(runner._waiting) == 2)
            assert not begun
        assert [one.result().status_code for one in asked] == [200, 200]
    assert begun == [1, 0]


def test_more_than_rows_and_queue_is_429_and_waiting_ones_are_answered(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 rows, 8 places in the queue."""
    slow_down(server, monkeypatch, 0.02)
    answers: list[httpx.Response] = []
    threads: list[threading.Thread] = []
    with server.http() as http:
        with talking(server, 4):
            until(lambda: metric(server, "limpid_requests_running") == 4)
            short = body(max_tokens=2, n=4)

            def ask() -> None:
                answers.append(http.post(CHAT, json=short))

            for _ in range(2):
                threads.append(threading.Thread(target=ask))
                threads[-1].start()
            until(lambda: metric(server, "limpid_requests_waiting") == 8)
            refused = http.post(CHAT, json=body(max_tokens=2))
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["error"] == {
                "message": "8 answers are waiting already; try again in a moment.",
                "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
            }  # fmt: skip
        for thread in threads:  # there are rows for them now
            thread.join(20)
    assert [answer.status_code for answer in answers] == [200, 200]
    until(lambda: idle(server))


def test_what_clients_counted_is_what_metrics_say(server: Served) -> None:
    names = ("limpid_prompt_tokens_total", "limpid_generated_tokens_total")
    before = [metric(server, name) for name in names]
    prompt = completion = 0
    with server.http() as http:
        for fields in ({"n": 3}, {"stop": "e"}, {"max_tokens": 1}, {"temperature": 0}):
            usage = http.post(CHAT, json=body(**fields)).json()["usage"]
            prompt, completion = prompt + usage["prompt_tokens"], completion + usage["completion_tokens"]
            usage = stream(http, CHAT, body(stream_options={"include_usage": True}, **fields))[-1]["usage"]
            prompt, completion = prompt + usage["prompt_tokens"], completion + usage["completion_tokens"]
        listed = {"model": "tiny", "prompt": ["The cat", "on"], "n": 2}
        usage = http.post(TEXT, json=listed).json()["usage"]
        prompt, completion = prompt + usage["prompt_tokens"], completion + usage["completion_tokens"]
        scored = {"model": "tiny", "prompt": "The cat", "echo": True, "logprobs": 0, "max_tokens": 0}
        prompt += http.post(TEXT, json=scored).json()["usage"]["prompt_tokens"]
        prompt += http.post("/v1/embeddings", json={"model": "tiny", "input": ["a", "bc"]}).json()["usage"][
            "prompt_tokens"
        ]
    assert [metric(server, name) - was for name, was in zip(names, before, strict=True)] == [prompt, completion]
    for name in ("queue", "time_to_first_token", "inter_token", "request"):
        assert metric(server, f"limpid_{name}_seconds_count") > 0


def test_a_step_that_fails_is_told_to_those_it_concerned_and_the_next_works(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = body(temperature=0)
    with server.http() as http:
        before = http.post(CHAT, json=plain).json()["choices"]
        runner = server.model("tiny").runner
        engine = runner.engine  # type: ignore[attr-defined]
        honest, steps = engine.step, iter(range(100))

        def step() -> Any:
            if next(steps) == 5:
                raise RuntimeError("out of memory, say")
            return honest()

        monkeypatch.setattr(engine, "step", step)
        with http.stream("POST", CHAT, json=plain | {"stream": True}) as response:
            lines = [line for line in response.iter_lines() if line]
        error = json.loads(lines[-1].removeprefix("data: "))["error"]
        assert error["type"] == "server_error"
        assert "out of memory" not in error["message"]
        assert len(lines) > 2
        assert "out of memory, say" in caplog.text
        assert engine.load["running"] == engine.load["waiting"] == engine.rows.busy == 0
        assert http.post(CHAT, json=plain).json()["choices"] == before
    until(lambda: idle(server))
