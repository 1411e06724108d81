"""The body of a request: read within limits of size and time, and parsed as strict JSON."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from limpid.server.errors import ApiError, bad_request

DEPTH = 64
"""Lists and tables may be nested so deep: more than any schema of use, far less than what recursion could not take."""
BODY_SECONDS = 20.0
"""A body must be there this long after its request began."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        ApiError: 415 another type than application/json, or compressed; 413 more than ``max_bytes``; 408 too slow.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "Send JSON, with the header Content-Type: application/json.", code="unsupported_media_type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(415, "Send the body as it is: encodings are not undone here.", code="unsupported_media_type")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, max_bytes)
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {BODY_SECONDS:g} seconds.", code="request_timeout") from None


async def _read(request: Request, max_bytes: int) -> bytes:
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > max_bytes:
                raise _too_large(max_bytes)
    except ClientDisconnect:
        raise ApiError(400, "The connection was closed before the body was complete.") from None
    return bytes(raw)


def parse(raw: bytes) -> dict[str, Any]:
    """The table that a body holds.

    Raises:
        ApiError: 400 no JSON table, invalid UTF-8, NaN or Infinity, a key twice in a table, more than `DEPTH` levels,
            half of a surrogate pair.
    """
    if not raw.strip():
        raise bad_request("The body is empty; send a JSON object.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_request(f"The body is not UTF-8 (at byte {error.start}).") from None
    try:
        value = json.loads(text, object_pairs_hook=_table, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # json.JSONDecodeError, and a whole number of thousands of digits
        raise bad_request(f"The body is not valid JSON: {error}.") from None
    _check(value)
    if not isinstance(value, dict):
        raise bad_request(f"The body must be a JSON object, not {_noun(value)}.")
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:100]!r} stands twice in one object")
    return table


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is too large a number")
    return value


def _check(value: Any) -> None:
    """Level by level: not too deep, and no lone surrogate in any string."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH + 1:
            raise _too_deep()
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not item.isascii():
                try:
                    item.encode("utf-8")
                except UnicodeEncodeError:
                    raise bad_request("A string holds half of a surrogate pair, which is no character.") from None
        level = below


def _too_deep() -> ApiError:
    return bad_request(f"The body is nested too deep; {DEPTH} levels are taken.")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"The body is larger than {max_bytes} bytes.", code="request_too_large")


def _noun(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")
