"""Requests that are formally right and made to hurt: nobody else may notice them."""

from __future__ import annotations

import functools
import json
import socket
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from bench.live_server import LiveServer
from tests.server.blackbox.asking import CHAT, COMPLETIONS, Live, answer, idle, refused, said, tokens, until


def meanwhile(live: Live, act: Callable[[], httpx.Response]) -> httpx.Response:
    """The response to ``act``, while /health must go on answering soon."""
    with ThreadPoolExecutor(1) as pool, live.http() as http:
        acting = pool.submit(act)
        slowest = 0.0
        while not acting.done():
            began = time.perf_counter()
            assert http.get("/health").status_code == 200
            slowest = max(slowest, time.perf_counter() - began)
            time.sleep(0.01)
        assert slowest < 2, f"somebody else waited {slowest:.1f} s"
        return acting.result()


JSON = {"Content-Type": "application/json"}
LONG = {
    "one word": "a" * 3_000_000,
    "Chinese": "床" * 300_000,
    "spaces": " " * 3_000_000,
    "emoji": "👨‍👩‍👧" * 50_000,
    "control tokens": "<|end|>" * 300_000,
    "mixed": "a1 床\n\t'" * 200_000,
}


@pytest.mark.parametrize("name", LONG)
def test_prompts_of_megabytes(http: httpx.Client, live: Live, name: str) -> None:
    for path, body in ((CHAT, live.chat(LONG[name])), (COMPLETIONS, live.text(LONG[name]))):
        content, began = json.dumps(body, ensure_ascii=False).encode(), time.perf_counter()
        response = meanwhile(live, functools.partial(http.post, path, content=content, headers=JSON))
        refused(response, 400, code="context_length_exceeded")
        assert time.perf_counter() - began < 20


def test_ten_thousand_messages(http: httpx.Client, live: Live) -> None:
    turns = [{"role": ("user", "assistant")[number % 2], "content": "x"} for number in range(10_001)]
    response = meanwhile(live, lambda: http.post(CHAT, json=live.chat(messages=turns)))
    refused(response, 400, code="context_length_exceeded")


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


@pytest.mark.parametrize(
    "fields",
    [
        {"logit_bias": {str(number): 1 for number in range(100_000)}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": nested(300)}}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": nested(300)}}]},
        {
            "tools": [
                {"type": "function", "function": {"name": f"f{number}", "parameters": nested(3)}}
                for number in range(2000)
            ],
            "tool_choice": "required",
        },
        {"stop": ["a" * 100_000, "b" * 100_000]},
        {"x": [[[]] * 1000] * 300},
    ],
    ids=["biases", "deep schema", "deep tool", "two thousand tools", "long stops", "large unknown field"],
)
def test_large_fields(http: httpx.Client, live: Live, fields: dict[str, Any]) -> None:
    response = meanwhile(live, lambda: http.post(CHAT, json=live.chat(**fields)))
    if response.status_code != 200:
        refused(response, 400)


def test_no_address_is_ever_fetched(http: httpx.Client, live: Live) -> None:
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(0.3)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": url}}}
        refused(http.post(CHAT, json=live.chat(messages=image)), 400)
        refused(http.post(CHAT, json=live.chat(response_format=schema)), 400)
        refused(http.post(CHAT, json=live.chat(model=url)), 404)
        http.post("/v1/embeddings", json={"model": live.model, "input": url})
        with pytest.raises(TimeoutError):
            trap.accept()


def test_the_page_of_documentation_stays_on_this_machine(http: httpx.Client) -> None:
    for path in ("/docs", "/redoc", "/"):
        page = http.get(path)
        if page.status_code == 200 and "html" in page.headers["content-type"]:
            for mark in ('src="http', "src='http", 'src="//', 'href="http', "import('http", "@import"):
                assert mark not in page.text, f"{path} loads something from elsewhere"


def stubborn(live: Live, stack: ExitStack, **fields: Any) -> socket.socket:
    """A client that asks for a stream and reads nothing of it."""
    parts = urllib.parse.urlsplit(live.url)
    content = json.dumps(live.greedy(stream=True, **fields)).encode()
    key = "".join(f"{name}: {value}\r\n" for name, value in live.auth.items())
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}Content-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect((str(parts.hostname), parts.port or 80))
    connection.sendall(head.encode() + content)
    return connection


def test_clients_that_do_not_read_keep_nobody_waiting(live: Live) -> None:
    until(lambda: idle(live))
    with live.http() as http, ExitStack() as stack:
        alone = [said(http, live.greedy(question)) for question in ("What is a cat?", "床前明月光")]
        for _ in range(8):
            stubborn(live, stack, max_tokens=1800, logprobs=True, top_logprobs=20)
        until(lambda: live.metrics()["limpid_requests_running"] >= 8)
        assert [said(http, live.greedy(question)) for question in ("What is a cat?", "床前明月光")] == alone
    until(lambda: idle(live))


def test_fifty_clients_vanish_at_once(live: Live) -> None:
    """They reset their connections; no row stays taken, and the next one is answered."""
    until(lambda: idle(live))
    with ExitStack() as stack:
        for _ in range(50):
            connection = stubborn(live, stack, max_tokens=1500)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets
        until(lambda: live.metrics()["limpid_requests_running"] > 0)
    until(lambda: idle(live))
    with live.http() as http:
        assert said(http, live.greedy()) is not None


def test_a_thousand_connections(live: Live, own: LiveServer) -> None:
    parts = urllib.parse.urlsplit(live.url)
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection((str(parts.hostname), parts.port), timeout=10))
        with live.http() as http:
            assert said(http, live.greedy(max_tokens=3)) is not None
    with live.http() as http:
        assert said(http, live.greedy(max_tokens=3)) is not None


def by_hand(live: Live, head: str, content: bytes = b"") -> bytes:
    """What comes back for these bytes until the server closes the connection. HOST stands for Host and key."""
    parts = urllib.parse.urlsplit(live.url)
    key = "".join(f"{name}: {value}\r\n" for name, value in live.auth.items())
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        connection.sendall(head.replace("HOST", f"Host: {parts.netloc}\r\n{key}").encode() + content)
        got = b""
        while piece := connection.recv(65536):
            got += piece
    return got


def test_other_dialects_of_http(live: Live) -> None:
    assert by_hand(live, "GET /v1/models HTTP/1.0\r\nHOST\r\n").startswith(b"HTTP/1.1 200")
    asked = by_hand(live, "HEAD /health HTTP/1.1\r\nHOSTConnection: close\r\n\r\n")
    assert asked.split()[1] in (b"200", b"405")
    assert asked.partition(b"\r\n\r\n")[2] == b"", "HEAD has no body"
    content = json.dumps(live.greedy(max_tokens=2)).encode()
    common = f"POST {CHAT} HTTP/1.1\r\nHOSTConnection: close\r\nContent-Type: application/json\r\n"
    expecting = f"{common}Content-Length: {len(content)}\r\nExpect: 100-continue\r\n\r\n"
    assert b"HTTP/1.1 200" in by_hand(live, expecting, content)
    chunks = b"".join(b"1\r\n" + content[i : i + 1] + b"\r\n" for i in range(len(content))) + b"0\r\n\r\n"
    assert by_hand(live, f"{common}Transfer-Encoding: chunked\r\n\r\n", chunks).startswith(b"HTTP/1.1 200")
    zipped = f"{common}Content-Encoding: gzip\r\nContent-Length: {len(content)}\r\n\r\n"
    assert by_hand(live, zipped, content)[:12] in (b"HTTP/1.1 415", b"HTTP/1.1 400", b"HTTP/1.1 200")
    upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    assert by_hand(live, f"GET {CHAT} HTTP/1.1\r\nHOST{upgrade}").startswith(b"HTTP/1.1 4")


def test_a_request_id_of_ones_own_is_harmless(http: httpx.Client, live: Live) -> None:
    for value in ("a" * 20_000, "<script>alert(1)</script>", "..%0d%0aX-Evil: 1", "\t"):
        response = http.get("/v1/models", headers={"X-Request-Id": value.strip() or "x"})
        assert response.status_code in (200, 400, 431)
        assert "x-evil" not in response.headers
        assert len(response.headers["x-request-id"]) < 300


def test_a_connection_is_good_for_many_requests(live: Live) -> None:
    """Good and bad ones in turn, over the same socket."""
    with httpx.Client(base_url=live.url, headers=live.auth, timeout=60, limits=httpx.Limits(max_connections=1)) as http:
        for _ in range(10):
            refused(http.post(CHAT, json=live.chat(temperature=-1)), 400)
            refused(http.post(CHAT, content=b"[", headers=JSON), 400)
            assert answer(http, live.greedy(max_tokens=2))["choices"]
            refused(http.get("/nowhere"), 404)


def test_characters_of_every_kind(http: httpx.Client, live: Live) -> None:
    for text in (
        "\u0000",
        "a\u0000b",
        "\uffff\ufffe",
        "\u202eabc\u202c",
        "\r\n\r",
        "\u001b[31m",
        "e\u0301",
        "\U0010ffff",
    ):
        assert len(tokens(http, live, text)) > 0
        assert answer(http, live.greedy(text))["usage"]["completion_tokens"] > 0
        assert said(http, live.text(text, echo=True), COMPLETIONS).startswith(text)
