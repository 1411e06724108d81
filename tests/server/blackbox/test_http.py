"""Who may ask, and clients that behave badly below the level of requests."""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from contextlib import ExitStack

import httpx
import openai
import pytest
from bench.live_server import LiveServer
from tests.server.blackbox.asking import CHAT, ORIGIN, Live, refused, said, tokens


@pytest.fixture
def address(live: Live) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(live.url)
    if parts.scheme != "http":
        pytest.skip("speaks to plain HTTP by hand")
    return str(parts.hostname), parts.port or 80


def request_bytes(live: Live, body: dict[str, object] | None = None, *headers: str) -> bytes:
    """A chat request as it goes over the wire."""
    content = json.dumps(live.greedy(max_tokens=3) if body is None else body).encode()
    host = urllib.parse.urlsplit(live.url).netloc
    lines = [
        f"POST {CHAT} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    lines += [f"{name}: {value}" for name, value in live.auth.items()]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + content


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic c2stbGltcGlkLXRlc3Q=", "Basic KEY", "", "KEY"]
)
def test_keys(live: Live, header: str | None) -> None:
    if live.key is None:
        pytest.skip("this server has no key")
    headers = {} if header is None else {"Authorization": header.replace("KEY", live.key)}
    with httpx.Client(base_url=live.url, headers=headers) as stranger:
        refused(stranger.post(CHAT, json=live.chat()), 401, code="invalid_api_key")
        refused(stranger.get("/v1/models"), 401, code="invalid_api_key")
        refused(stranger.post("/tokenize", json={"model": live.model, "prompt": "x"}), 401, code="invalid_api_key")
        bad = stranger.post(CHAT, content=b"{")
        assert bad.status_code == 401, "a stranger learns nothing about requests"


def test_a_key_that_is_nearly_right(live: Live) -> None:
    if live.key is None:
        pytest.skip("this server has no key")
    for key in (live.key[:-1], live.key + "x", live.key.upper(), f"{live.key} {live.key}", "ключ"):
        header = {"Authorization": f"Bearer {key}".encode()}
        refused(httpx.get(f"{live.url}/v1/models", headers=header), 401, code="invalid_api_key")


def test_a_key_of_nothing(live: Live, address: tuple[str, int]) -> None:
    if live.key is None:
        pytest.skip("this server has no key")
    for value in ("Bearer ", " ", "Bearer \t", f"{live.key}"):
        request = (
            f"GET /v1/models HTTP/1.1\r\nHost: {address[0]}\r\nAuthorization: {value}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(request.encode())
            assert read_all(connection).startswith(b"HTTP/1.1 401")


def test_openais_client_says_that_the_key_is_wrong(live: Live) -> None:
    if live.key is None:
        pytest.skip("this server has no key")
    wrong = openai.OpenAI(base_url=f"{live.url}/v1", api_key="wrong", max_retries=0)
    with wrong as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "169.254.169.254"])
def test_another_host(http: httpx.Client, live: Live, own: LiveServer, host: str) -> None:
    """A page whose name was made to point here (DNS rebinding) is sent away."""
    refused(http.get("/v1/models", headers={"Host": host}), 403)
    refused(http.post(CHAT, json=live.chat(), headers={"Host": host}), 403)


def test_names_of_this_machine(http: httpx.Client, own: LiveServer) -> None:
    port = own.url.rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert http.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "https://chat.example.evil"]
)
def test_another_origin(http: httpx.Client, live: Live, origin: str) -> None:
    response = http.post(CHAT, json=live.chat(), headers={"Origin": origin})
    refused(response, 403)
    assert "access-control-allow-origin" not in response.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = http.options(CHAT, headers=asked)
    assert preflight.status_code >= 400
    assert "access-control-allow-origin" not in preflight.headers


def test_an_origin_that_is_allowed(http: httpx.Client, live: Live, own: LiveServer) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with httpx.Client(base_url=live.url) as browser:  # which sends no key with a preflight
        preflight = browser.options(CHAT, headers=asked)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    response = http.post(CHAT, json=live.chat(), headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in response.headers["vary"].lower()
    wrong = http.post(CHAT, json={}, headers={"Origin": ORIGIN})
    assert wrong.headers["access-control-allow-origin"] == ORIGIN, "the page could not read why"


def test_every_answer_has_a_request_id(http: httpx.Client, live: Live) -> None:
    responses = [
        http.get("/v1/models"),
        http.get("/health"),
        http.get("/metrics"),
        http.get("/nothing"),
        http.put(CHAT),
        http.post(CHAT, json={}),
        http.post(CHAT, json=live.chat(max_tokens=1)),
        http.get("/openapi.json"),
    ]
    ids = [response.headers["x-request-id"] for response in responses]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def read_all(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def test_two_requests_in_one_breath(live: Live, address: tuple[str, int]) -> None:
    first = request_bytes(live, live.greedy("One", max_tokens=5))
    second = request_bytes(live, live.greedy("Two", max_tokens=5), "Connection: close")
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(first + second)
        got = read_all(connection)
    assert got.count(b"HTTP/1.1 200") == 2
    with live.http() as http:
        wanted = [said(http, live.greedy(word, max_tokens=5)) for word in ("One", "Two")]
    places = [got.find(json.dumps(text, ensure_ascii=False).encode()) for text in wanted]
    assert 0 < places[0] < places[1]


def test_a_request_that_comes_byte_by_byte(live: Live, address: tuple[str, int]) -> None:
    whole = request_bytes(live, None, "Connection: close")
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(whole), 3):
            connection.sendall(whole[place : place + 3])
            time.sleep(0.001)
        assert b"HTTP/1.1 200" in read_all(connection)


def test_sockets_that_are_half_open_keep_nobody_waiting(live: Live, address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for number in range(100):
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            whole = request_bytes(live)
            connection.sendall(
                whole[: (number * 7) % len(whole)]
            )  # some in the middle of the headers, some of the body
            if number % 3 == 0:
                connection.shutdown(socket.SHUT_WR)
        with live.http() as http:
            began = time.perf_counter()
            assert said(http, live.greedy(max_tokens=3)) is not None
            assert time.perf_counter() - began < 5


@pytest.mark.parametrize("size", [100_000, 5_000_000])
def test_huge_headers(live: Live, address: tuple[str, int], size: int) -> None:
    with socket.create_connection(address, timeout=30) as connection:
        try:
            connection.sendall(request_bytes(live, None, "X-Huge: " + "a" * size, "Connection: close"))
            status = connection.recv(65536)[:12]
        except ConnectionError:
            status = b""
    assert status in (b"HTTP/1.1 400", b"HTTP/1.1 431", b""), status
    with live.http() as http:
        assert said(http, live.greedy(max_tokens=2)) is not None


NONSENSE = {
    "no http": b"hello\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "http/9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "negative length": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    "two lengths": b"POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
    "length and chunks": (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "bad chunk": b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "null in a header": b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_bytes_that_are_no_request(live: Live, address: tuple[str, int], name: str) -> None:
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(NONSENSE[name])
        connection.shutdown(socket.SHUT_WR)
        try:
            got = read_all(connection)
        except ConnectionError:
            got = b""
    assert not got or got.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), got[:200]
    with live.http() as http:
        assert tokens(http, live, "ok")


def test_refusing_leaves_no_memory_behind(live: Live, own: LiveServer) -> None:
    bodies = [b"[" * 100_000, b'{"model": "' + b"x" * 500_000 + b'"}', b'{"messages": ' + b'["' + b"y" * 500_000]
    with live.http() as http:

        def round_of_nonsense() -> None:
            for body in bodies:
                assert http.post(CHAT, content=body, headers={"Content-Type": "application/json"}).status_code < 500

        for _ in range(20):
            round_of_nonsense()
        before = own.resident_bytes()
        for _ in range(60):
            round_of_nonsense()
    grown = own.resident_bytes() - before
    assert grown < 20 * 2**20, f"{grown / 2**20:.0f} MiB more after 180 requests of half a megabyte"
