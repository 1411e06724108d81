"""Connections that are no requests, too slow, or never read; spoken by hand over a socket."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.server.conftest import Served, served
from tests.server.test_answers import idle, slow_down, until

HOST = b"Host: localhost\r\n"


@pytest.fixture
def impatient(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that waits for nobody longer than half a second."""
    monkeypatch.setattr("limpid.server.process.HEAD_SECONDS", 0.5)
    monkeypatch.setattr("limpid.server.body.BODY_SECONDS", 0.5)
    monkeypatch.setattr("limpid.server.stream.SEND_SECONDS", 0.5)
    with served([run]) as server:
        yield server


def connect(server: Served) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 0), timeout=60)


def response(sock: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and JSON of what comes until the other side hangs up."""
    raw = b""
    while part := sock.recv(65536):
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    assert b"x-request-id: " in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("begun", [b"", b"POST /v1/comp", b"POST /v1/completions HTTP/1.1\r\n" + HOST + b"X-A: "])
def test_who_never_finishes_the_head_of_a_request(impatient: Served, begun: bytes) -> None:
    with connect(impatient) as sock:
        sock.sendall(begun)
        status, error = response(sock)
    assert status == 408
    assert error["message"] == "The request did not come within 0.5 seconds."


def test_who_sends_the_head_drop_by_drop(impatient: Served) -> None:
    with connect(impatient) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"200" in sock.recv(65536)
        ready = False
        for drop in b"GET /health HTTP/1.1\r\n":  # drops on a kept connection do not set the clock back
            sock.sendall(bytes([drop]))
            if ready := bool(select.select([sock], [], [], 0.1)[0]):
                break
        assert ready
        assert response(sock)[0] == 408


def test_who_never_finishes_the_body(impatient: Served) -> None:
    with connect(impatient) as sock:
        sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + HOST
            + b'Content-Length: 100\r\n\r\n{"prompt": '
        )
        status, error = response(sock)
    assert (status, error["code"]) == (408, "request_timeout")


def test_who_takes_nothing_of_a_stream_loses_the_row(impatient: Served) -> None:
    """More than the socket's buffers hold, unread: the sender waits, and then gives up."""
    body = json.dumps({
        "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 900, "temperature": 0, "stream": True, "n": 8,
        "logprobs": True, "top_logprobs": 20,
    }).encode()  # fmt: skip
    with connect(impatient) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert b"200 OK" in sock.recv(1000)
        until(lambda: idle(impatient), 60)
        until(lambda: not impatient.state.live)
        with impatient.http() as http:
            assert http.get("/health").status_code == 200
            cancelled = 'limpid_requests_total{finish="cancelled",model="tiny"}'
            assert cancelled in http.get("/metrics").text


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n",
     b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", b"GET  /  HTTP/1.1\r\n" + HOST + b"\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_told_so_in_json(impatient: Served, nonsense: bytes) -> None:
    with connect(impatient) as sock:
        sock.sendall(nonsense)
        status, error = response(sock)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["message"] == "This is not valid HTTP/1.1."


def test_headers_without_end(impatient: Served) -> None:
    with connect(impatient) as sock:
        try:
            sock.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 2_000_000)
        except ConnectionError:
            return  # it hung up while we were still sending
        try:
            status, error = response(sock)
        except ConnectionError:
            return
    assert (status, error["code"]) == (431, "headers_too_large")


# ------------------------------------------------------------------ leaving


def stream(server: Served, tokens: int) -> list[str]:
    """The lines of a stream, the server being sent away after the first of them."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": tokens, "temperature": 0, "stream": True}
    lines: list[str] = []
    with server.http() as http, http.stream("POST", "/v1/chat/completions", json=body) as answer:
        for line in answer.iter_lines():
            if not lines:
                server.process.drain()
            if line:
                lines.append(line)
    return lines


def test_what_runs_may_end(run: Path) -> None:
    with served([run], drain_seconds=30) as server:
        lines = stream(server, 900)
        assert lines[-1] == "data: [DONE]"
        assert json.loads(lines[-2][6:])["choices"][0]["finish_reason"] == "length"


def test_but_not_for_ever(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served([run], drain_seconds=0.3) as server:
        slow_down(server, monkeypatch, 0.02)
        lines = stream(server, 900)
        assert json.loads(lines[-1][6:])["error"] == {
            "message": "The server is stopping.", "type": "server_error", "param": None, "code": "service_unavailable",
        }  # fmt: skip


def test_who_leaves_in_the_middle_of_many_embeddings_is_heard(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    def embed(model: object, ids: list[int]) -> list[float]:
        time.sleep(0.02)
        done.append(len(ids))
        return [1.0]

    monkeypatch.setattr("limpid.server.decoding.embed", embed)
    with served([run]) as server, server.http() as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/embeddings", json={"input": ["a"] * 500}, timeout=0.3)
        until(lambda: 'limpid_http_responses_total{status="499"} 1.0' in http.get("/metrics").text)
        assert len(done) < 100


def test_embeddings_under_way_may_end_too(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    def embed(model: object, ids: list[int]) -> list[float]:
        began.set()
        time.sleep(0.05)
        return [1.0]

    monkeypatch.setattr("limpid.server.decoding.embed", embed)
    with served([run], drain_seconds=30) as server, server.http() as http:
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(http.post("/v1/embeddings", json={"input": ["a"] * 9})))
        asking.start()
        assert began.wait(10)
        server.process.drain()
        asking.join(20)
    assert [len(answer.json()["data"]) for answer in answers] == [9]
