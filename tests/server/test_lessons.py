"""Lessons over a WebSocket: who may open one, how much may be said, and that nothing else waits for it."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any

import psutil
import pytest
from tests.server.conftest import Served, served
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from limpid.server import lessons


def address(server: Served, name: str = "playground") -> str:
    return f"{server.url.replace('http', 'ws')}/api/lessons/{name}"


@contextmanager
def opened(server: Served, **more: Any) -> Iterator[ClientConnection]:
    with connect(address(server), subprotocols=["limpid"], max_size=None, **more) as socket:  # type: ignore[list-item]
        yield socket


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def workers() -> set[psutil.Process]:
    """The processes of lessons. They are not waited for: the server, whose part it is, would not hear of their end."""
    found = set()
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and "limpid.lessons.worker" in process.cmdline():
                found.add(process)
    return found


def until_none_is_left() -> None:
    end = time.monotonic() + 20
    while workers():
        assert time.monotonic() < end, "a lesson's process is still there"
        time.sleep(0.02)


def until(socket: ClientConnection, name: str) -> Any:
    """The next message with that field; pictures before it are drawn."""
    while True:
        message = socket.recv(timeout=30)
        if isinstance(message, bytes):
            say(socket, do="drawn", number=struct.unpack("<I", message[4:8])[0])
        elif name in (table := json.loads(message)):
            return table


def test_a_lesson_runs_while_the_server_answers(server: Served) -> None:
    with opened(server) as socket, server.http() as http:
        assert socket.subprotocol == "limpid"
        say(socket, do="open", address="speed=0")
        until(socket, "settings")
        say(socket, do="run")
        waits = []
        for _ in range(15):
            message = socket.recv(timeout=30)
            if isinstance(message, bytes):
                say(socket, do="drawn", number=struct.unpack("<I", message[4:8])[0])
            began = time.perf_counter()
            assert http.get("/health").status_code == 200
            waits.append(time.perf_counter() - began)
        assert sorted(waits)[7] < 0.25
        say(socket, do="pause")
        assert until(socket, "settings")["epoch"] > 0
        say(socket, do="dance")
        assert "cannot do 'dance'" in until(socket, "fault")["fault"]


def test_its_process_ends_with_the_page(server: Served) -> None:
    until_none_is_left()
    with opened(server) as socket:
        say(socket, do="open", address="")
        until(socket, "settings")
        assert len(workers()) == 1
    until_none_is_left()


def test_a_process_that_dies_is_told(server: Served) -> None:
    until_none_is_left()
    with opened(server) as socket:
        say(socket, do="open", address="")
        until(socket, "settings")
        for process in workers():
            process.kill()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == lessons.FAILED


def test_who_may_open_one(server: Served, run: Path) -> None:
    for headers, status in (({"Origin": "https://evil.example"}, 403), ({"Host": "evil.example"}, 403)):
        with pytest.raises(InvalidStatus) as refused:
            _refused(server, headers)
        assert refused.value.response.status_code == status
    with opened(server, origin=server.url):
        pass
    with pytest.raises(InvalidStatus), connect(address(server, "chess")):
        pass
    with served([run], key="schlüssel") as own:
        with pytest.raises(InvalidStatus) as refused:
            _refused(own, {})
        assert refused.value.response.status_code == 401
        assert b"invalid_api_key" in (refused.value.response.body or b"")
        coded = base64.urlsafe_b64encode("schlüssel".encode()).decode().rstrip("=")
        for key, right in ((coded, True), (coded[:-2], False), ("*", False)):
            try:
                with connect(address(own), subprotocols=["limpid", f"limpid.key.{key}"]) as socket:  # type: ignore[list-item]
                    assert right
                    assert socket.subprotocol == "limpid"
            except InvalidStatus:
                assert not right


def _refused(server: Served, headers: dict[str, str]) -> None:
    host = headers.pop("Host", None)
    url = address(server)
    if host:  # connect to the server, but by another name
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with (
            create_connection(("127.0.0.1", port)) as sock,
            connect(url.replace("127.0.0.1", host), sock=sock),
        ):
            return
    with connect(url, additional_headers=headers):
        return


def test_a_message_too_large_closes_it(server: Served) -> None:
    with opened(server) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.send("x" * (lessons.MAX_MESSAGE_BYTES + 1))
        while True:
            socket.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == lessons.TOO_LARGE


def test_only_so_many_at_once(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server) as first:
        say(first, do="open", address="")
        until(first, "settings")
        monkeypatch.setattr(lessons, "MAX_SESSIONS", 1)
        with opened(server) as second, pytest.raises(ConnectionClosed) as closed:
            second.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == lessons.TRY_LATER
        assert "close one" in closed.value.rcvd.reason


def test_a_server_that_stops_closes_its_lessons(run: Path) -> None:
    with served([run]) as own, opened(own) as socket:
        say(socket, do="open", address="")
        until(socket, "settings")
        own.process.drain()
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(timeout=30)
