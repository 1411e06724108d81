"""Who may ask: every request passes here before anything reads it, and every response on its way out.

A server on one's own machine can be reached by any page one has open, so a loopback address is no protection: a page
may post to it (Origin tells), or make its own name point to it (DNS rebinding; Host tells).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limpid.server.errors import ApiError

OPEN_PATHS = frozenset({"/health", "/"})
"""What needs no key: who looks after the process must see whether it is well; and the files of the page, which asks
for the key itself."""
OPEN_FOLDER = "/static/"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
HEAD_BYTES = 32 * 1024
"""The most that a request's address and headers may take."""
KEY_PROTOCOL = "limpid.key."
"""Before the key, in base64url without padding."""
_METHODS = "GET, POST, OPTIONS"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
log = logging.getLogger("limpid.server")
access = logging.getLogger("limpid.access")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware: Host, Origin and key of a request; request id, CORS and errors of the response.

    Args:
        key: what clients must know; None: nothing.
        hosts: the names this server goes by; None: any (only right where a key is asked for).
        origins: pages of other sites that may ask; "*": all.
        count: told the status of every response.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        key: str | None,
        hosts: Collection[str] | None,
        origins: Collection[str],
        count: Callable[[int], None],
    ) -> None:
        self._app, self._count = app, count
        self._key = None if key is None else _digest(key.encode())
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self._connect(scope, receive, send)
        if scope["type"] != "http":
            return None
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        exchange = _Exchange(send, request_id, self._cors(headers))
        began = time.perf_counter()
        try:
            self._admit(scope, headers)
            if scope["method"] == "OPTIONS":
                await exchange.answer(204, b"")
            else:
                await self._app(scope, receive, exchange.send)
        except ApiError as error:
            await exchange.fail(error)
        except Exception:
            log.exception("request %s failed", request_id)
            await exchange.fail(ApiError(500, f"Something failed here; the server's log says more under {request_id}."))
        self._count(exchange.status)
        access.info(
            "%s %s %d %.0f ms %s",
            scope["method"], ascii(scope["path"])[1:-1], exchange.status,
            1e3 * (time.perf_counter() - began), request_id,
        )  # fmt: skip
        return None

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket, which passes the same test; a browser's page sends its key as a subprotocol."""
        try:
            self._admit(scope, Headers(scope=scope))
        except ApiError as error:
            self._count(error.status)
            head = {"type": "websocket.http.response.start", "status": error.status,
                    "headers": [(b"content-type", b"application/json")]}  # fmt: skip
            await send(head)
            await send({"type": "websocket.http.response.body", "body": error.encoded()})
            return
        self._count(101)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Raise ApiError 431, 403 or 401 for who may not ask."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["path"]) > HEAD_BYTES:
            raise ApiError(431, f"The headers are larger than {HEAD_BYTES} bytes.", code="headers_too_large")
        host = _name_of(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            raise ApiError(
                403, f"This server does not go by the name {host[:100]!r}; start it with --allow-host to add one.",
                code="host_not_allowed",
            )  # fmt: skip
        if "origin" in headers and not self._knows(headers):
            raise ApiError(
                403, f"Pages of {headers['origin'][:100]!r} may not ask here; --allow-origin adds one.",
                code="origin_not_allowed",
            )  # fmt: skip
        if self._key is None or scope.get("method") == "OPTIONS" or _is_open(scope["path"]):
            return
        given = headers.getlist("authorization") or _keys_of(scope)
        kind, _, key = (given[0] if len(given) == 1 else "").partition(" ")
        right = hmac.compare_digest(_digest(key.strip().encode("utf-8", "replace")), self._key)
        if kind.lower() != "bearer" or not right:
            text = "Incorrect API key." if given else "No API key: send the header Authorization: Bearer KEY."
            raise ApiError(401, text, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    def _knows(self, headers: Headers) -> bool:
        """Whether the page that asks is this server's own or one it was told of."""
        origin = headers["origin"].lower()
        own = urlsplit(origin).netloc == headers.get("host", "").lower() and origin.startswith(("http://", "https://"))
        return own or origin in self._origins or "*" in self._origins

    def _cors(self, headers: Headers) -> dict[str, str]:
        """What a browser must be told so that a page of another origin sees the answer."""
        if "origin" not in headers or not self._knows(headers):
            return {}
        private = "access-control-request-private-network" in headers  # a public page asks a machine at home
        return ({"access-control-allow-private-network": "true"} if private else {}) | {
            "access-control-allow-origin": headers["origin"],
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": headers.get("access-control-request-headers", "authorization"),
            "access-control-expose-headers": "x-request-id, retry-after",
            "access-control-max-age": "600",
            "vary": "Origin",
        }


class _Exchange:
    """One response: what every one of them carries, and whether it has begun."""

    def __init__(self, send: Send, request_id: str, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = {"x-request-id": request_id, "x-content-type-options": "nosniff", **headers}
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers[name] = value
        await self._send(message)

    async def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        lines = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        if status != 204:
            lines += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": lines})
        await self.send({"type": "http.response.body", "body": body})

    async def fail(self, error: ApiError) -> None:
        """Send an error, unless a response has begun already; that one just ends."""
        if not self.status:
            await self.answer(error.status, error.encoded(), error.headers)


def _keys_of(scope: Scope) -> list[str]:
    """The key among a WebSocket's subprotocols, as an Authorization header would say it: a page cannot send headers."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(KEY_PROTOCOL):
            coded = name.removeprefix(KEY_PROTOCOL)
            try:
                key = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-8", "replace")
            except ValueError:
                key = ""
            return [f"Bearer {key}"]
    return []


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _digest(raw: bytes) -> bytes:
    """Of equal length whatever the key's: a comparison must not tell how long it is."""
    return hashlib.sha256(raw).digest()


def _name_of(host: str) -> str:
    """A Host header without its port, lower case, without the brackets of an IPv6 address."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
