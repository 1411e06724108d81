"""Answers in a form: JSON, schemas, tools."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from tests.server.blackbox.asking import Live, answer, deltas, said, stream

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "mood": {"enum": ["glad", "sad", "安静"]},
        "pets": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "age", "mood", "pets"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "北京"]}, "celsius": {"type": "boolean"}},
            "required": ["city", "celsius"],
            "additionalProperties": False,
        },
    },
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}},
}


def schema_of(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "form", "schema": schema, **more}}


@pytest.mark.parametrize("seed", range(4))
def test_a_schema_is_kept_whatever_the_model_would_say(http: httpx.Client, live: Live, seed: int) -> None:
    body = live.chat(seed=seed, temperature=1.3, max_tokens=300, response_format=schema_of(PERSON, strict=True))
    found = answer(http, body)["choices"][0]
    assert found["finish_reason"] == "stop"
    jsonschema.validate(json.loads(found["message"]["content"]), PERSON)
    assert deltas(stream(http, body)) == found["message"]["content"]


def test_schemas_beside_each_other_and_free_answers(http: httpx.Client, live: Live) -> None:
    found = answer(http, live.chat(n=4, temperature=1, seed=1, max_tokens=300, response_format=schema_of(PERSON)))
    for choice in found["choices"]:
        jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)


@pytest.mark.parametrize("seed", range(4))
def test_a_json_object(http: httpx.Client, live: Live, seed: int) -> None:
    body = live.chat(seed=seed, temperature=1, max_tokens=120, response_format={"type": "json_object"})
    found = answer(http, body)["choices"][0]
    text = found["message"]["content"]
    assert text.lstrip().startswith("{")
    if found["finish_reason"] == "stop":
        assert isinstance(json.loads(text), dict)
    else:
        assert found["finish_reason"] == "length"


def test_plain_text_is_a_form_too(http: httpx.Client, live: Live) -> None:
    assert said(http, live.greedy(response_format={"type": "text"})) == said(http, live.greedy())


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_tool_is_called_and_its_result_read(ai: openai.OpenAI, live: Live, choice: Any) -> None:
    asked = [{"role": "user", "content": "How is the weather in Beijing?"}]
    body = live.chat(messages=asked, seed=2, max_tokens=200, tools=[WEATHER], tool_choice=choice)
    found = ai.chat.completions.create(**body)
    message = found.choices[0].message
    assert message.tool_calls
    (call,) = message.tool_calls
    assert call.id
    assert call.type == "function"
    assert call.function.name == "get_weather"
    jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])
    assert not message.content
    assert found.choices[0].finish_reason in ("tool_calls", "stop")
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 °C, 晴"}
    turns = [*asked, message.model_dump(exclude_none=True), result]
    after = ai.chat.completions.create(**live.greedy(messages=turns, tools=[WEATHER], tool_choice="none"))
    assert after.choices[0].message.tool_calls in (None, [])
    assert after.usage is not None
    assert found.usage is not None
    assert after.usage.prompt_tokens > found.usage.prompt_tokens
    silent = [*turns[:-1], result | {"content": "it rains"}]
    other = ai.chat.completions.create(**live.greedy(messages=silent, tools=[WEATHER], tool_choice="none"))
    assert other.choices[0].message.content != after.choices[0].message.content, "the tool's result is not read"


def test_a_tool_call_is_streamed(ai: openai.OpenAI, live: Live) -> None:
    body = live.chat(seed=3, max_tokens=200, tools=[WEATHER, CLOCK], tool_choice="required")
    whole = ai.chat.completions.create(**body).choices[0]
    assert whole.message.tool_calls
    with ai.chat.completions.create(**body, stream=True) as pieces:
        choices = [choice for chunk in pieces for choice in chunk.choices]
    parts = [part for choice in choices for part in choice.delta.tool_calls or []]
    first = [part for part in parts if part.index == 0]
    assert first[0].id
    assert first[0].function
    assert first[0].function.name == whole.message.tool_calls[0].function.name
    assert all(part.id is None for part in first[1:])
    joined = "".join(part.function.arguments or "" for part in first if part.function)
    assert json.loads(joined) == json.loads(whole.message.tool_calls[0].function.arguments)
    assert choices[-1].finish_reason == whole.finish_reason == "tool_calls"
    assert not any(choice.delta.content for choice in choices)


def test_tools_are_told_to_the_model(http: httpx.Client, live: Live) -> None:
    without = answer(http, live.greedy())["usage"]["prompt_tokens"]
    assert answer(http, live.greedy(tools=[WEATHER]))["usage"]["prompt_tokens"] > without


@pytest.mark.parametrize("seed", range(3))
def test_auto_is_text_or_a_call(http: httpx.Client, live: Live, seed: int) -> None:
    found = answer(http, live.chat(seed=seed, temperature=1, tools=[WEATHER], tool_choice="auto"))["choices"][0]
    assert found["message"].get("content") or found["message"].get("tool_calls")
    assert (found["finish_reason"] == "tool_calls") == bool(found["message"].get("tool_calls"))
