"""Cheap streaming clients: raw HTTP in one asyncio process, so that little of the machine goes into asking."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Heard(NamedTuple):
    """What came back.

    status: of HTTP; 0 where the connection failed. text: of all pieces. arrivals: seconds after asking, for each piece
    that held text. usage, finish: as the server said. error: its own words, or how the connection failed.
    """

    status: int
    text: str
    arrivals: list[float]
    usage: dict[str, Any]
    finish: str | None
    error: str | None


async def ask(url: str, path: str, body: bytes | dict[str, Any], *, leave_after: int | None = None) -> Heard:
    """Send one request and read its answer, streamed or whole.

    leave_after: hang up after so many pieces of text.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = urlsplit(url)
    began = time.perf_counter()
    heard = Heard(0, "", [], {}, None, None)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
        head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        try:
            heard = await _hear(reader, began, leave_after)
        finally:
            writer.close()
            await writer.wait_closed()
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return heard._replace(status=0, error=f"{type(error).__name__}: {error}")
    return heard


async def _hear(reader: asyncio.StreamReader, began: float, leave_after: int | None) -> Heard:
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := (await reader.readline()).strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip().lower()
    if not headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        whole = b"".join([piece async for piece in _body(reader, headers)])
        return _whole(status, whole, time.perf_counter() - began)
    texts: list[str] = []
    arrivals: list[float] = []
    usage, finish, error = {}, None, None
    async for event in _events(_body(reader, headers)):
        if event == b"[DONE]":
            break
        chunk = json.loads(event)
        if "error" in chunk:
            error = json.dumps(chunk["error"])
            break
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice.get("finish_reason") or finish
            if text := choice["delta"].get("content"):
                texts.append(text)
                arrivals.append(time.perf_counter() - began)
        if leave_after is not None and len(texts) >= leave_after:
            break
    return Heard(status, "".join(texts), arrivals, usage, finish, error)


def _whole(status: int, raw: bytes, seconds: float) -> Heard:
    found = json.loads(raw)
    if status != 200:
        return Heard(status, "", [], {}, None, json.dumps(found.get("error")))
    choice = found["choices"][0]
    return Heard(status, choice["message"]["content"], [seconds], found["usage"], choice["finish_reason"], None)


async def _body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> AsyncIterator[bytes]:
    """The body as it comes, without the frame of chunks."""
    if headers.get(b"transfer-encoding") == b"chunked":
        while size := int(await reader.readline(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
    elif b"content-length" in headers:
        yield await reader.readexactly(int(headers[b"content-length"]))
    else:
        while piece := await reader.read(65536):
            yield piece


async def _events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of server-sent events."""
    held = b""
    async for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()


async def ask_all(url: str, path: str, bodies: list[dict[str, Any]]) -> list[Heard]:
    """All at once."""
    return list(await asyncio.gather(*[ask(url, path, body) for body in bodies]))


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all are not above."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
