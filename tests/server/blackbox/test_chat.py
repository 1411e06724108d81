from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest
from tests.server.blackbox.asking import Live, answer, deltas, refused, said, stream, tokens


def test_an_answer_is_whole(ai: openai.OpenAI, live: Live) -> None:
    found = ai.chat.completions.create(**live.greedy())
    assert found.object == "chat.completion"
    assert found.id
    assert found.model == live.model
    assert abs(found.created - time.time()) < 60
    (choice,) = found.choices
    assert choice.index == 0
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert found.usage is not None
    assert found.usage.prompt_tokens > len("What")
    assert 1 <= found.usage.completion_tokens <= 24
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_answers_have_ids_of_their_own(http: httpx.Client, live: Live) -> None:
    ids = [answer(http, live.greedy(max_tokens=1))["id"] for _ in range(3)]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_is_the_answer_in_pieces(http: httpx.Client, live: Live, usage: bool) -> None:
    whole = answer(http, live.greedy())
    chunks = stream(http, live.greedy(stream_options={"include_usage": usage}))
    assert deltas(chunks) == whole["choices"][0]["message"]["content"]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["model"] == live.model
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    spoken = chunks[:-1] if usage else chunks
    assert all(len(chunk["choices"]) == 1 for chunk in spoken)
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in spoken]
    assert reasons[-1] == whole["choices"][0]["finish_reason"]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert len(spoken) > 3, "not streamed: the answer came in one piece"
    if usage:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"] == whole["usage"]
    assert not any(chunk.get("usage") for chunk in spoken)


def test_the_stream_comes_while_it_is_computed(http: httpx.Client, live: Live) -> None:
    """The first words are there long before the last ones."""
    began = time.perf_counter()
    with http.stream("POST", "/v1/chat/completions", json=live.greedy(max_tokens=600, stream=True)) as response:
        arrivals = [time.perf_counter() - began for line in response.iter_lines() if line]
    assert len(arrivals) > 100
    assert arrivals[5] < arrivals[-1] / 2


def test_openais_client_streams(ai: openai.OpenAI, live: Live) -> None:
    with ai.chat.completions.create(**live.greedy(), stream=True, stream_options={"include_usage": True}) as pieces:
        chunks = list(pieces)
    whole = ai.chat.completions.create(**live.greedy())
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_usage_without_a_stream_is_refused(http: httpx.Client, live: Live) -> None:
    body = live.chat(stream_options={"include_usage": True})
    refused(http.post("/v1/chat/completions", json=body), 400, param="stream_options")


def test_earlier_turns_are_read(http: httpx.Client, live: Live) -> None:
    turns = [{"role": "user", "content": "Who sat?"}, {"role": "assistant", "content": "The cat sat on the mat."}]
    last = [{"role": "user", "content": "What is a cat?"}]
    alone, after = answer(http, live.greedy()), answer(http, live.greedy(messages=turns + last))
    assert after["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"] + 10
    assert after["choices"][0]["message"]["content"] != alone["choices"][0]["message"]["content"]


def test_text_parts_are_their_text(http: httpx.Client, live: Live) -> None:
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "a cat?"}]
    together, whole = answer(http, live.greedy(parts)), answer(http, live.greedy("What is a cat?"))
    one = answer(http, live.greedy([{"type": "text", "text": "What is a cat?"}]))
    assert one["choices"] == whole["choices"]
    assert one["usage"] == whole["usage"]
    assert together["usage"]["prompt_tokens"] >= whole["usage"]["prompt_tokens"]  # joined by nothing, or by a newline


def test_a_developer_is_the_system(http: httpx.Client, live: Live) -> None:
    user = {"role": "user", "content": "Hi"}
    texts = [
        said(http, live.greedy(messages=[{"role": role, "content": "You are a cat."}, user]))
        for role in ("system", "developer")
    ]
    assert texts[0] == texts[1]
    assert texts[0] != said(http, live.greedy(messages=[user]))


def test_an_answer_that_was_begun_is_continued(http: httpx.Client, live: Live) -> None:
    """A last message of the assistant's is not closed: its tokens are all that the prompt grows by."""
    user, begun = {"role": "user", "content": "What is a cat?"}, "A cat is an"
    before = answer(http, live.greedy(messages=[user]))["usage"]["prompt_tokens"]
    found = answer(http, live.greedy(messages=[user, {"role": "assistant", "content": begun}]))
    assert found["usage"]["prompt_tokens"] == before + len(tokens(http, live, begun))
    assert not found["choices"][0]["message"]["content"].startswith(begun)


OPTIONAL = (
    "temperature top_p top_k min_p repetition_penalty frequency_penalty presence_penalty logit_bias seed n stop "
    "logprobs top_logprobs stream stream_options tools tool_choice response_format user max_completion_tokens"
).split()


def test_null_is_absent(http: httpx.Client, live: Live) -> None:
    body = live.chat(seed=3, temperature=1)
    plain = answer(http, body)
    for field in (name for name in OPTIONAL if name not in body):
        found = answer(http, body | {field: None})
        assert (field, found["choices"]) == (field, plain["choices"])
    everything = {name: None for name in OPTIONAL if name not in body}
    assert answer(http, body | everything)["choices"] == plain["choices"]


def test_unknown_fields_are_ignored(http: httpx.Client, live: Live) -> None:
    unknown = {"metadata": {"a": "b"}, "store": True, "service_tier": "auto", "x_of_somebody": [1, {"y": None}]}
    assert said(http, live.greedy(**unknown)) == said(http, live.greedy())


@pytest.mark.parametrize("fields", [{"max_tokens": 3}, {"max_tokens": None, "max_completion_tokens": 3}])
def test_both_names_of_the_bound(http: httpx.Client, live: Live, fields: dict[str, Any]) -> None:
    found = answer(http, live.greedy(**fields))
    assert found["usage"]["completion_tokens"] == 3
    assert found["choices"][0]["finish_reason"] == "length"


def test_several_answers(http: httpx.Client, live: Live) -> None:
    body = live.chat(n=3, seed=5, temperature=1.0)
    found = answer(http, body)
    texts = [choice["message"]["content"] for choice in found["choices"]]
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert found["usage"]["completion_tokens"] > 24
    one = answer(http, live.chat(seed=5, temperature=1.0))
    assert found["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    chunks = stream(http, body)
    assert [deltas(chunks, index) for index in range(3)] == texts
    for index in range(3):
        mine = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == [
            found["choices"][index]["finish_reason"]
        ]


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|im_end|>", "</s>"])
def test_control_tokens_that_are_typed_are_ordinary_text(http: httpx.Client, live: Live, mark: str) -> None:
    spelled = tokens(http, live, mark)
    assert len(spelled) > 1
    plain = answer(http, live.greedy("a"))["usage"]["prompt_tokens"]
    typed = answer(http, live.greedy("a" + mark))["usage"]["prompt_tokens"]
    assert typed - plain >= len(spelled) - 1  # the "a" may join the first piece
    assert answer(http, live.text(mark), "/v1/completions")["usage"]["prompt_tokens"] > 1


def test_a_prompt_past_the_context(http: httpx.Client, live: Live) -> None:
    long = "The cat sat on the mat. " * 8_000
    refused(http.post("/v1/chat/completions", json=live.chat(long)), 400, code="context_length_exceeded")
    refused(http.post("/v1/completions", json=live.text(long)), 400, code="context_length_exceeded")
    said(http, live.greedy())
