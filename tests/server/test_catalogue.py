"""The catalogue of bad requests: each with its exact status and body, and the next request is answered."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import httpx
import pytest
from tests.server.conftest import Served

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
BROKEN = CALL | {"function": {"name": "f", "arguments": "["}}
NOW = {"type": "function", "function": {"name": "now"}}
NAMED = {"type": "function", "function": {"name": "never"}}


def part(kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, **fields}]}]


def form(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


LESS = "input should be greater than or equal to"
MORE = "input should be less than or equal to"
WHOLE = "input should be a valid integer"
NUMBER = "input should be a valid number"
HERE = "does not exist here. There are: tiny, translator."
PROMPT = "give a string, a list of strings, a list of token ids, or a list of lists of token ids."

# path, fields laid over a good request, the message, the field at fault. All are 400 invalid_request_error.
CASES: list[tuple[str, dict[str, Any], str, str | None]] = [
    (CHAT, {"model": 7}, "'model' = 7: input should be a valid string.", "model"),
    (CHAT, {"messages": None}, "'messages' = None: input should be a valid list.", "messages"),
    (CHAT, {"messages": "Hi"}, "'messages' = 'Hi': input should be a valid list.", "messages"),
    (CHAT, {"messages": []}, "'messages': list should have at least 1 item after validation, not 0.", "messages"),
    (CHAT, {"messages": ["Hi"]}, "'messages[0]' = 'Hi': input should be an object.", "messages[0]"),
    (
        CHAT, {"messages": [USER | {"role": "wizard"}]},
        "'messages[0].role' = 'wizard': input should be 'system', 'developer', 'user', 'assistant' or 'tool'.",
        "messages[0].role",
    ),
    (CHAT, {"messages": [{"content": "Hi"}]}, "'messages[0].role' is required.", "messages[0].role"),
    (CHAT, {"messages": [{"role": "user"}]}, "'messages[0]' has no content.", "messages[0].content"),
    (
        CHAT, {"messages": [USER | {"content": 7}]},
        "'messages[0].content' = 7: content is a string or a list of parts.", "messages[0].content",
    ),
    (
        CHAT, {"messages": [USER | {"content": []}]},
        "'messages[0].content': content has no part.", "messages[0].content",
    ),
    (
        CHAT, {"messages": part("image_url", image_url={"url": "file:///etc/passwd"})},
        "'messages[0].content': part 0 has the type 'image_url'; this model reads text parts only.",
        "messages[0].content",
    ),
    (
        CHAT, {"messages": part("image_url", image_url={"url": "http://127.0.0.1:1/x.png"})},
        "'messages[0].content': part 0 has the type 'image_url'; this model reads text parts only.",
        "messages[0].content",
    ),
    (
        CHAT, {"messages": part("text", text=7)},
        "'messages[0].content': part 0 has no string in 'text'.", "messages[0].content",
    ),
    (
        CHAT, {"messages": [USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        "'messages[1]' is a tool's result, but no call before it has the id 'call_1'.", "messages[1].tool_call_id",
    ),
    (
        CHAT,
        {"messages": [USER, {"role": "assistant", "tool_calls": [BROKEN]}]},
        "'messages[1].tool_calls[0].function.arguments' is not a JSON object in a string.",
        "messages[1].tool_calls[0].function.arguments",
    ),
    (CHAT, {"max_tokens": 0}, f"'max_tokens' = 0: {LESS} 1.", "max_tokens"),
    (CHAT, {"max_tokens": -1}, f"'max_tokens' = -1: {LESS} 1.", "max_tokens"),
    (CHAT, {"max_tokens": 10**9}, "'max_tokens' = 1000000000, and this model's context is 1024 tokens.", "max_tokens"),
    (CHAT, {"max_tokens": 2.5}, f"'max_tokens' = 2.5: {WHOLE}.", "max_tokens"),
    (CHAT, {"max_tokens": 2.0}, f"'max_tokens' = 2.0: {WHOLE}.", "max_tokens"),
    (CHAT, {"max_tokens": "7"}, f"'max_tokens' = '7': {WHOLE}.", "max_tokens"),
    (CHAT, {"max_tokens": True}, f"'max_tokens' = True: {WHOLE}.", "max_tokens"),
    (
        CHAT, {"max_tokens": None, "max_completion_tokens": 10**9},
        "'max_completion_tokens' = 1000000000, and this model's context is 1024 tokens.", "max_completion_tokens",
    ),
    (CHAT, {"temperature": -1}, f"'temperature' = -1: {LESS} 0.", "temperature"),
    (CHAT, {"temperature": 2.1}, f"'temperature' = 2.1: {MORE} 2.", "temperature"),
    (CHAT, {"temperature": "hot"}, f"'temperature' = 'hot': {NUMBER}.", "temperature"),
    (CHAT, {"top_p": 2}, f"'top_p' = 2: {MORE} 1.", "top_p"),
    (CHAT, {"min_p": -1}, f"'min_p' = -1: {LESS} 0.", "min_p"),
    (CHAT, {"top_k": -5}, f"'top_k' = -5: {LESS} -1.", "top_k"),
    (
        CHAT, {"repetition_penalty": 0},
        f"'repetition_penalty' = 0: {LESS} 0.01.", "repetition_penalty",
    ),
    (
        CHAT, {"repetition_penalty": 5e-324},
        f"'repetition_penalty' = 5e-324: {LESS} 0.01.", "repetition_penalty",
    ),
    (CHAT, {"frequency_penalty": 3}, f"'frequency_penalty' = 3: {MORE} 2.", "frequency_penalty"),
    (CHAT, {"presence_penalty": -3}, f"'presence_penalty' = -3: {LESS} -2.", "presence_penalty"),
    (CHAT, {"n": 0}, f"'n' = 0: {LESS} 1.", "n"),
    (CHAT, {"n": 10**6}, f"'n' = 1000000: {MORE} 128.", "n"),
    (CHAT, {"n": 100}, "The request asks for 100 answers; this server takes 12 at once.", None),
    (CHAT, {"stop": list("abcde")}, "'stop': at most 4 stop strings are taken, not 5.", "stop"),
    (CHAT, {"stop": ""}, "'stop' = '': a stop string is empty.", "stop"),
    (CHAT, {"stop": ["a", ""]}, "'stop': a stop string is empty.", "stop"),
    (CHAT, {"stop": 7}, "'stop' = 7: stop is a string or a list of strings.", "stop"),
    (
        CHAT, {"stop": "x" * 2**19},
        f"'stop' = '{'x' * 199}...: a stop string has 524288 characters; at most 256 are taken.", "stop",
    ),
    (CHAT, {"logit_bias": {"320": 1}}, "Token 320 is not in this model's vocabulary of 320.", "logit_bias"),
    (CHAT, {"logit_bias": {"-1": 1}}, "'logit_bias': '-1' is no token id.", "logit_bias"),
    (CHAT, {"logit_bias": {"²": 1}}, "'logit_bias': '²' is no token id.", "logit_bias"),
    (
        CHAT, {"logit_bias": {"5": 1000}},
        "'logit_bias': the bias of token 5 must be a number from -100 to 100.", "logit_bias",
    ),
    (CHAT, {"logit_bias": [1]}, "'logit_bias': logit_bias is an object of token ids and numbers.", "logit_bias"),
    (CHAT, {"seed": 2**70}, f"'seed' = {2**70}: input should be less than {2**63}.", "seed"),
    (CHAT, {"seed": 1.5}, f"'seed' = 1.5: {WHOLE}.", "seed"),
    (CHAT, {"logprobs": True, "top_logprobs": 21}, f"'top_logprobs' = 21: {MORE} 20.", "top_logprobs"),
    (CHAT, {"top_logprobs": 2}, "'top_logprobs' needs 'logprobs': true.", "top_logprobs"),
    (CHAT, {"logprobs": 5}, "'logprobs' = 5: input should be a valid boolean.", "logprobs"),
    (CHAT, {"stream": "yes"}, "'stream' = 'yes': input should be a valid boolean.", "stream"),
    (
        CHAT, {"stream_options": {"include_usage": True}},
        "'stream_options' is for streams: it needs 'stream': true.", "stream_options",
    ),
    (
        CHAT, {"chat_template": "{{ 7 * 7 }}"},
        "The chat template is the model's own; a request cannot bring one.", "chat_template",
    ),
    (
        CHAT, {"functions": []},
        "'functions' and 'function_call' are of old; use 'tools' and 'tool_choice'.", "functions",
    ),
    (CHAT, {"tools": [{"type": "function"}]}, "'tools[0].function' is required.", "tools[0].function"),
    (
        CHAT, {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "'tools[0].function.name' = 'a b': string should match pattern '^[A-Za-z0-9_.-]{1,64}$'.",
        "tools[0].function.name",
    ),
    (CHAT, {"tools": [NOW, NOW]}, "Two tools have the same name.", "tools"),
    (CHAT, {"tool_choice": "required"}, "'tool_choice' needs 'tools'.", "tool_choice"),
    (CHAT, {"tools": [NOW], "tool_choice": NAMED}, "No tool is called 'never'.", "tool_choice"),
    (
        CHAT, {"response_format": {"type": "xml"}},
        "'response_format.type' = 'xml': input should be 'text', 'json_object' or 'json_schema'.",
        "response_format.type",
    ),
    (
        CHAT, {"response_format": {"type": "json_schema"}},
        "'json_schema' goes with the type json_schema, and with no other.", "response_format",
    ),
    (
        CHAT, {"response_format": form({"$ref": "#"})},
        "'response_format': no JSON satisfies the schema.", "response_format",
    ),
    (
        CHAT, {"response_format": form({"type": "poem"})},
        "'response_format': the schema cannot be used: Invalid type: poem", "response_format",
    ),
    (
        CHAT, {"response_format": form({"type": "string", "pattern": "("})},
        "'response_format': the schema cannot be used: regex parse error:", "response_format",
    ),
    (
        CHAT, {"response_format": form(7)},
        "'response_format.json_schema.schema' = 7: input should be an object.",
        "response_format.json_schema.schema",
    ),
    (TEXT, {"prompt": None}, f"'prompt' = None: {PROMPT}", "prompt"),
    (TEXT, {"prompt": []}, f"'prompt': {PROMPT}", "prompt"),
    (TEXT, {"prompt": [[]]}, f"'prompt': {PROMPT}", "prompt"),
    (TEXT, {"prompt": ["a", 1]}, f"'prompt': {PROMPT}", "prompt"),
    (TEXT, {"prompt": [True]}, f"'prompt': {PROMPT}", "prompt"),
    (TEXT, {"prompt": [-1]}, "-1 is no token id of this model: they go from 0 to 319.", "prompt"),
    (TEXT, {"prompt": [[5], [320]]}, "320 is no token id of this model: they go from 0 to 319.", "prompt"),
    (TEXT, {"logprobs": 21}, f"'logprobs' = 21: {MORE} 20.", "logprobs"),
    (
        TEXT, {"max_tokens": 0},
        "'max_tokens' = 0 says nothing; it is for scoring a prompt, with 'echo'.", "max_tokens",
    ),
    (TEXT, {"suffix": "x"}, "Filling in before a suffix is not something these models have learnt.", "suffix"),
    (TEXT, {"n": 3, "best_of": 2}, "'best_of' is less than 'n'.", "best_of"),
    (
        TEXT, {"best_of": 2, "stream": True},
        "The best of several answers is known at the end: it cannot be streamed.", "best_of",
    ),
    ("/v1/embeddings", {"input": ""}, "A text to embed is empty.", "input"),
    ("/v1/embeddings", {"input": ["a", ""]}, "A text to embed is empty.", "input"),
    ("/v1/embeddings", {"input": 7}, f"'input' = 7: {PROMPT}", "input"),
    (
        "/v1/embeddings", {"input": "a", "dimensions": 8},
        "This model's vectors have 32 numbers and cannot be cut.", "dimensions",
    ),
    (
        "/v1/embeddings", {"input": "a", "encoding_format": "hex"},
        "'encoding_format' = 'hex': input should be 'float' or 'base64'.", "encoding_format",
    ),
    ("/tokenize", {"prompt": None, "messages": None}, "Give either 'prompt' or 'messages'.", "prompt"),
    (
        "/tokenize", {"prompt": None, "messages": [{"role": "user"}]},
        "'messages[0]' has no content.", "messages[0].content",
    ),
    ("/detokenize", {"tokens": [320]}, "320 is no token id of this model: they go from 0 to 319.", "tokens"),
    ("/detokenize", {"tokens": "abc"}, "'tokens' = 'abc': input should be a valid list.", "tokens"),
]  # fmt: skip


def good(path: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "tiny", "max_tokens": 2}
    return body | ({"messages": [USER]} if path == CHAT else {"prompt": "Hi"})


@pytest.fixture(autouse=True)
def _the_next_request_is_answered(http: httpx.Client) -> Any:
    yield
    assert http.post(CHAT, json=good(CHAT)).status_code == 200


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    error: dict[str, Any] = response.json()["error"]
    return error


@pytest.mark.parametrize(
    ("path", "fields", "message", "param"), CASES, ids=[f"{p}-{str(f)[:60]}" for p, f, _, _ in CASES]
)
def test_bad_values(http: httpx.Client, path: str, fields: dict[str, Any], message: str, param: str | None) -> None:
    response = http.post(path, json=good(path) | fields)
    assert error_of(response) == {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    assert response.status_code == 400


@pytest.mark.parametrize("path", [CHAT, TEXT, "/v1/embeddings", "/tokenize"])
@pytest.mark.parametrize("name", ["gpt-17", "../../etc/passwd", "http://127.0.0.1/", "a\0b", "", "tiny/", "x" * 5000])
def test_unknown_models(http: httpx.Client, path: str, name: str) -> None:
    response = http.post(path, json=good(path) | {"model": name, "input": "Hi"})
    shown = name if len(name) <= 100 else name[:100] + "..."
    assert error_of(response) == {
        "message": f"The model {shown!r} {HERE}", "type": "not_found_error",
        "param": "model", "code": "model_not_found",
    }  # fmt: skip
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("path", "field", "long"),
    [
        (CHAT, "messages", [USER | {"content": "a cat " * 800}]),
        (CHAT, "messages", [USER | {"content": "a cat " * 100_000}]),
        (CHAT, "messages", [USER | {"content": "a cat " * 40}] * 18),
        (TEXT, "prompt", "a cat " * 800),
        (TEXT, "prompt", "a cat " * 100_000),
        (TEXT, "prompt", [7] * 1024),
        ("/v1/embeddings", "input", [7] * 1025),
    ],
)
def test_more_than_the_context(http: httpx.Client, path: str, field: str, long: Any) -> None:
    response = http.post(path, json=good(path) | {field: long})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", field)
    assert error["type"] == "invalid_request_error"
    assert f"This model's context is 1024 tokens, and '{field}' alone has " in error["message"]


def test_an_answer_is_cut_where_the_context_ends(http: httpx.Client) -> None:
    body = good(TEXT) | {"prompt": [7] * 1012, "max_tokens": 100, "temperature": 0}
    found = http.post(TEXT, json=body).json()
    assert found["usage"]["completion_tokens"] == 12
    assert found["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_other_types_of_body(http: httpx.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    response = http.post(CHAT, content=json.dumps(good(CHAT)), headers=headers)
    assert response.status_code == 415
    assert error_of(response) == {
        "message": "Send JSON, with the header Content-Type: application/json.",
        "type": "invalid_request_error", "param": None, "code": "unsupported_media_type",
    }  # fmt: skip


def test_compressed_bodies(http: httpx.Client) -> None:
    body = gzip.compress(json.dumps(good(CHAT)).encode())
    response = http.post(CHAT, content=body, headers={"content-type": "application/json", "content-encoding": "gzip"})
    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"


def test_a_body_over_the_limit(http: httpx.Client) -> None:
    def unannounced() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    wanted = {
        "message": f"The body is larger than {2**20} bytes.",
        "type": "invalid_request_error", "param": None, "code": "request_too_large",
    }  # fmt: skip
    for content in (b" " * (2**20 + 1), unannounced()):
        response = http.post(CHAT, content=content, headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)) == (413, wanted)


def test_a_body_announced_over_the_limit_is_refused_before_it_comes(server: Served) -> None:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:  # less than is waited for a body
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {2**30}"
        wire.sendall(f"{head}\r\n\r\n".encode())
        assert wire.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "message"),
    [
        ("GET", CHAT, 405, "method_not_allowed", f"GET {CHAT}: Method Not Allowed."),
        ("DELETE", "/v1/models", 405, "method_not_allowed", "DELETE /v1/models: Method Not Allowed."),
        ("GET", "/v1/nothing", 404, "unknown_url", "GET /v1/nothing: Not Found."),
        ("POST", f"{CHAT}/", 404, "unknown_url", f"POST {CHAT}/: Not Found."),
    ],
)
def test_other_addresses(http: httpx.Client, method: str, path: str, status: int, code: str, message: str) -> None:
    response = http.request(method, path)
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    assert response.status_code == status
    assert error_of(response) == {"message": message, "type": kind, "param": None, "code": code}


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|end|>", "<|assistant|>"])
def test_control_tokens_typed_are_text(http: httpx.Client, server: Served, mark: str) -> None:
    tokenizer = server.model("tiny").tokenizer
    spelled = http.post("/tokenize", json={"prompt": mark}).json()["tokens"]
    assert spelled == tokenizer.encode(mark)
    assert not set(spelled) & tokenizer.special_ids
    asked = http.post("/tokenize", json={"messages": [USER | {"content": mark}]}).json()["tokens"]
    assert asked == [
        tokenizer.end_of_text, tokenizer.user, *spelled, tokenizer.end_of_turn, tokenizer.assistant,
    ]  # fmt: skip
