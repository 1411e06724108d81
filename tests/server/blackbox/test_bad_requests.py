"""Wrong requests: each is refused soon, with its status and an error of OpenAI's form, and the next one works."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.server.blackbox.asking import CHAT, COMPLETIONS, Live, answer, refused, said, tokens

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _soon_and_well_afterwards(http: httpx.Client, live: Live) -> Iterator[None]:
    began = time.perf_counter()
    yield
    assert time.perf_counter() - began < 10, "refusing took too long"  # a second on a machine that is not busy
    assert said(http, live.greedy(max_tokens=2)) is not None


def raw(http: httpx.Client, content: bytes, path: str = CHAT) -> httpx.Response:
    return http.post(path, content=content, headers=JSON)


BODY = '{"model": "M", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4%s}'
NOT_JSON = {
    "empty": b"",
    "spaces": b"  \n",
    "truncated": BODY.encode()[:40],
    "array": b"[]",
    "null": b"null",
    "number": b"7",
    "string": b'"Hi"',
    "invalid UTF-8": b'{"model": "\xff\xfe"}',
    "NaN": (BODY % ', "temperature": NaN').encode(),
    "Infinity": (BODY % ', "temperature": -Infinity').encode(),
    "deep arrays": (BODY % (', "x": ' + "[" * 10_000 + "]" * 10_000)).encode(),
    "deep objects": (BODY % (', "x": ' + '{"a":' * 10_000 + "1" + "}" * 10_000)).encode(),
    "deep and open": b"[" * 10_000,
    "twice the same key": (BODY % ', "max_tokens": 5').encode(),
    "trailing comma": (BODY % ",").encode(),
    "two bodies": (BODY % "").encode() * 2,
    "a comment": b"// hello\n" + (BODY % "").encode(),
    "a huge integer": (BODY % (', "seed": ' + "9" * 5000)).encode(),
}


@pytest.mark.parametrize("name", NOT_JSON)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, "/v1/embeddings", "/tokenize"])
def test_bodies_that_are_no_request(http: httpx.Client, live: Live, name: str, path: str) -> None:
    content = NOT_JSON[name].replace(b'"M"', json.dumps(live.model).encode())
    if path != CHAT and name == "a huge integer":
        pytest.skip("this path knows no seed")
    refused(raw(http, content, path), 400)


def test_a_lone_surrogate(http: httpx.Client, live: Live) -> None:
    for text in (r'"\ud83d"', r'"a \udc00 b"'):
        body = json.dumps(live.chat("@")).replace('"@"', text)
        refused(raw(http, body.encode()), 400)
        body = json.dumps(live.text("@")).replace('"@"', text)
        refused(raw(http, body.encode(), COMPLETIONS), 400)
        body = json.dumps(live.chat(stop="@")).replace('"@"', text)
        refused(raw(http, body.encode()), 400)
    body = json.dumps(live.greedy("@")).replace('"@"', r'"\ud83d\ude42"')  # a pair is one character
    assert raw(http, body.encode()).json()["choices"] == answer(http, live.greedy("🙂"))["choices"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_other_content_types(http: httpx.Client, live: Live, kind: str) -> None:
    response = http.post(CHAT, content=json.dumps(live.chat()), headers={"Content-Type": kind} if kind else {})
    refused(response, 415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_spellings_of_the_right_content_type(http: httpx.Client, live: Live, kind: str) -> None:
    response = http.post(CHAT, content=json.dumps(live.chat()), headers={"Content-Type": kind})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_wrong_methods(http: httpx.Client, method: str) -> None:
    response = http.request(method, CHAT)
    refused(response, 405)
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/chat/completions/", "/v1", "/v1/chat", "/.git/config", "/v1//models"]
)
def test_unknown_paths(http: httpx.Client, path: str) -> None:
    refused(http.get(path), 404)
    refused(http.post(path, json={}), 404)


USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}


def image(url: str) -> list[dict[str, Any]]:
    return [USER | {"content": [{"type": "image_url", "image_url": {"url": url}}]}]


MESSAGES: dict[str, Any] = {
    "empty": [],
    "a string": "Hi",
    "a number": 7,
    "null": None,
    "an object": USER,
    "strings": ["Hi"],
    "null in the list": [None],
    "bad role": [USER | {"role": "wizard"}],
    "no role": [{"content": "Hi"}],
    "role of a number": [USER | {"role": 7}],
    "no content": [{"role": "user"}],
    "content null": [USER | {"content": None}],
    "content a number": [USER | {"content": 7}],
    "content an object": [USER | {"content": {"text": "Hi"}}],
    "no parts": [USER | {"content": []}],
    "a part of a string": [USER | {"content": ["Hi"]}],
    "a part without text": [USER | {"content": [{"type": "text"}]}],
    "a part with a number": [USER | {"content": [{"type": "text", "text": 7}]}],
    "a part of no kind": [USER | {"content": [{"text": "Hi"}]}],
    "file image": image("file:///etc/passwd"),
    "http image": image("http://127.0.0.1:1/x.png"),
    "data image": image("data:image/png;base64,AAAA"),
    "sound": [USER | {"content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]}],
    "orphan tool result": [USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"}],
    "tool result of another call": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_2", "content": "x"},
    ],
    "tool result of no call": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "x"},
    ],
    "assistant without words or calls": [USER, {"role": "assistant", "content": None}, USER],
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_that_are_none(http: httpx.Client, live: Live, name: str) -> None:
    refused(http.post(CHAT, json=live.chat(messages=MESSAGES[name])), 400, param="messages")


def test_no_messages(http: httpx.Client, live: Live) -> None:
    refused(http.post(CHAT, json={"model": live.model}), 400, param="messages")
    refused(http.post(COMPLETIONS, json={"model": live.model}), 400, param="prompt")


TREE = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}
FIELDS: list[tuple[str, Any]] = [
    ("max_tokens", 0),
    ("max_tokens", -1),
    ("max_tokens", 10**9),
    ("max_tokens", 2.5),
    ("max_tokens", "7"),
    ("max_tokens", True),
    ("max_completion_tokens", 0),
    ("max_completion_tokens", 10**9),
    ("temperature", -1),
    ("temperature", "hot"),
    ("temperature", 1e300),
    ("temperature", True),
    ("top_p", 2),
    ("top_p", -0.1),
    ("min_p", -1),
    ("min_p", 1.5),
    ("top_k", -5),
    ("top_k", 1.5),
    ("repetition_penalty", -1),
    ("repetition_penalty", 0),
    ("frequency_penalty", 3),
    ("presence_penalty", -3),
    ("n", 0),
    ("n", -1),
    ("n", 10**6),
    ("n", 1.5),
    ("stop", ["a", "b", "c", "d", "e"]),
    ("stop", ""),
    ("stop", ["a", ""]),
    ("stop", "x" * 2**20),
    ("stop", 7),
    ("stop", [7]),
    ("logit_bias", {"1000000000": 1}),
    ("logit_bias", {"-1": 1}),
    ("logit_bias", {"a": 1}),
    ("logit_bias", {"1": 1000}),
    ("logit_bias", {"1": "x"}),
    ("logit_bias", [1]),
    ("seed", 2**70),
    ("seed", "x"),
    ("seed", 1.5),
    ("logprobs", "yes"),
    ("stream", "yes"),
    ("tools", "x"),
    ("tools", [{"type": "function"}]),
    ("tools", [{"type": "function", "function": {"name": "a b\n", "parameters": {}}}]),
    ("tool_choice", "required"),  # without tools
    ("response_format", "json"),
    ("response_format", {"type": "xml"}),
    ("response_format", {"type": "json_schema"}),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "poem"}}}),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "http://127.0.0.1:1/"}}},
    ),
    (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "("}}},
    ),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": 7}}),
]


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=[f"{name}={str(value)[:40]}" for name, value in FIELDS])
def test_values_out_of_range(http: httpx.Client, live: Live, field: str, value: Any) -> None:
    body = live.chat()
    if field == "max_completion_tokens":
        del body["max_tokens"]
    refused(http.post(CHAT, json=body | {field: value}), 400, param=field)


@pytest.mark.parametrize("count", [21, -1, 1.5, "5"])
def test_more_alternatives_than_there_may_be(http: httpx.Client, live: Live, count: object) -> None:
    refused(http.post(CHAT, json=live.chat(logprobs=True, top_logprobs=count)), 400, param="top_logprobs")
    if count != 1.5:
        refused(http.post(COMPLETIONS, json=live.text(logprobs=count)), 400, param="logprobs")


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "string", "pattern": "^((a|a)*)*b$", "maxLength": 20},
        {"type": "string", "pattern": "^(.{1,5000}){1,5000}$"},
        {"type": "array", "minItems": 10**6, "items": {"type": "array", "minItems": 10**6}},
        {"anyOf": [{"const": number} for number in range(3000)]},
        {"allOf": [{"anyOf": [{"const": i}, {"const": i + 1}]} for i in range(40)]},
    ],
    ids=["recursive", "catastrophic", "ambiguous", "large", "long", "wide", "crossed"],
)
def test_schemas_made_to_be_costly(http: httpx.Client, live: Live, schema: dict[str, Any]) -> None:
    """Answered or refused; either way soon (see the fixture), and never by falling over."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = http.post(CHAT, json=live.chat(max_tokens=4, response_format=form))
    if response.status_code != 200:
        refused(response, 400)


def test_a_chat_template_in_the_request_is_not_run(http: httpx.Client, live: Live) -> None:
    plain = answer(http, live.greedy())
    for field in ("chat_template", "chat_template_kwargs"):
        value = "{{ 'x' * 500 }}" if field == "chat_template" else {"chat_template": "{{ 'x' * 500 }}"}
        response = http.post(CHAT, json=live.greedy(**{field: value}))
        if response.status_code == 200:
            assert response.json()["usage"] == plain["usage"]
            assert response.json()["choices"] == plain["choices"]
        else:
            refused(response, 400)
    jinja = "{{ 7 * 7 }}{% for i in range(9) %}x{% endfor %}"  # in a message it is text
    longer = answer(http, live.greedy(jinja))["usage"]["prompt_tokens"]
    assert longer >= answer(http, live.greedy(""))["usage"]["prompt_tokens"] + len(tokens(http, live, jinja)) - 1


@pytest.mark.parametrize("size", [64 * 2**20])
def test_a_body_over_the_limit(http: httpx.Client, live: Live, size: int) -> None:
    try:
        response = raw(http, b'{"x": "' + b"a" * size + b'"}')
    except httpx.TransportError:
        return  # it hung up on us, which the next request shows to be no crash
    refused(response, 413)


def test_a_body_over_the_limit_that_does_not_say_so(http: httpx.Client, live: Live) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 2**20

    try:
        response = http.post(CHAT, content=pieces(), headers=JSON)
    except httpx.TransportError:
        return
    refused(response, 413)
