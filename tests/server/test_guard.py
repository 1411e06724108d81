"""Every rule against strangers, and what happens to a request that keeps them all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server import loops

from limpid.server.errors import ApiError
from limpid.server.guard import LOOPBACK_HOSTS, Guard, is_loopback

KEY = "sk-right"
PAGE = "https://chat.example"


class Heard:
    """What came out of a guarded application, and whether the application was asked at all."""

    def __init__(self) -> None:
        self.asked, self.status, self.headers, self.body = False, 0, {}, b""
        self.counted: list[int] = []


def ask(
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    headers: list[tuple[str, str]] | None = None,
    fails: Exception | None = None,
    **rules: Any,
) -> Heard:
    heard = Heard()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.asked = True
        if fails is not None:
            raise fails
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"well"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            heard.body += message["body"]

    settings: dict[str, Any] = {"key": None, "hosts": LOOPBACK_HOSTS, "origins": [PAGE]} | rules
    guard = Guard(app, count=heard.counted.append, **settings)
    given = [("host", "localhost:8000"), *(headers or [])] if not _has(headers, "host") else headers
    lines = [(name.encode(), value.encode("latin-1")) for name, value in given or []]
    loops.run(guard({"type": "http", "method": method, "path": path, "headers": lines}, receive, send))
    return heard


def _has(headers: list[tuple[str, str]] | None, wanted: str) -> bool:
    return any(name == wanted for name, _ in headers or ())


def refused(heard: Heard, status: int, code: str, kind: str) -> None:
    import json

    assert not heard.asked
    assert heard.status == status
    assert heard.counted == [status]
    error = json.loads(heard.body)["error"]
    assert (error["code"], error["type"], error["param"]) == (code, kind, None)
    assert error["message"]
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["x-request-id"]
    assert heard.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "",
        "[::2]",
        "0.0.0.0",
    ],
)
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    """DNS rebinding: a page makes its own name point here, and the browser thinks this to be its server."""
    refused(ask(headers=[("host", host)]), 403, "host_not_allowed", "permission_error")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_its_own_names_are_known(host: str) -> None:
    assert ask(headers=[("host", host)]).asked


def test_names_can_be_added_and_with_a_key_any_will_do() -> None:
    assert ask(headers=[("host", "box.lan:8000")], hosts={"box.lan"}).asked
    assert ask(headers=[("host", "any.example"), ("authorization", f"Bearer {KEY}")], hosts=None, key=KEY).asked


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9000", "https://chat.example.evil", "file://", ""]
)
def test_pages_of_strangers_are_refused(origin: str) -> None:
    for method in ("POST", "GET", "OPTIONS"):
        heard = ask(method=method, headers=[("origin", origin)])
        refused(heard, 403, "origin_not_allowed", "permission_error")
        assert "access-control-allow-origin" not in heard.headers


@pytest.mark.parametrize("origin", [PAGE, "https://CHAT.example", "http://localhost:8000"])
def test_known_pages_are_answered_and_may_read(origin: str) -> None:
    heard = ask(headers=[("origin", origin)])
    assert heard.asked
    assert heard.headers["access-control-allow-origin"] == origin
    assert heard.headers["x-content-type-options"] == "nosniff"
    assert heard.headers["vary"] == "Origin"


def test_a_browser_may_ask_first_and_needs_no_key_for_that() -> None:
    asks = [("origin", PAGE), ("access-control-request-method", "POST"), ("access-control-request-headers", "x-a, x-b")]
    heard = ask(method="OPTIONS", headers=[*asks, ("access-control-request-private-network", "true")], key=KEY)
    assert heard.headers["access-control-allow-private-network"] == "true"
    heard = ask(method="OPTIONS", headers=asks, key=KEY)
    assert "access-control-allow-private-network" not in heard.headers
    assert (heard.status, heard.body, heard.asked) == (204, b"", False)
    assert heard.headers["access-control-allow-headers"] == "x-a, x-b"
    assert "POST" in heard.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer sk-wrong")],
        [("authorization", f"Bearer {KEY}x")],
        [("authorization", f"Bearer {KEY[:-1]}")],
        [("authorization", f"Basic {KEY}")],
        [("authorization", KEY)],
        [("authorization", "Bearer schlüssel")],
        [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer sk-wrong")],
        [("x-api-key", KEY)],
    ],
)
def test_without_the_key_nothing_is_read(headers: list[tuple[str, str]]) -> None:
    for path in ("/v1/chat/completions", "/v1/models", "/metrics", "/docs", "/openapi.json", "/nothing", "/health/x"):
        heard = ask(path=path, headers=headers, key=KEY)
        refused(heard, 401, "invalid_api_key", "authentication_error")
        assert heard.headers["www-authenticate"] == "Bearer"


def test_with_the_key_it_is_and_health_needs_none() -> None:
    assert ask(headers=[("authorization", f"Bearer {KEY}")], key=KEY).asked
    assert ask(headers=[("authorization", f"bearer {KEY}")], key=KEY).asked
    assert ask(path="/health", key=KEY).asked
    assert ask(headers=[("authorization", "Bearer whatever")]).asked  # where no key is set, clients send any


def test_the_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths too: what is compared are digests."""
    compared: list[tuple[bytes, bytes]] = []
    import hmac

    honest = hmac.compare_digest

    def watched(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return honest(a, b)

    monkeypatch.setattr("limpid.server.guard.hmac.compare_digest", watched)
    for key in (KEY, "sk-wrong", "x" * 1000, ""):
        ask(headers=[("authorization", f"Bearer {key}")], key=KEY)
    assert [len(a) == len(b) == 32 for a, b in compared] == [True] * 4


def test_headers_past_all_measure_are_431() -> None:
    refused(ask(headers=[("x-a", "a" * 40_000)]), 431, "headers_too_large", "invalid_request_error")
    refused(ask(path="/" + "a" * 40_000), 431, "headers_too_large", "invalid_request_error")
    assert ask(headers=[("x-a", "a" * 30_000)]).asked


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1.2_X", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ("a\nb", False),
        ("é", False),
        ("", False),
    ],
)
def test_a_clients_request_id_is_kept_if_it_is_harmless(given: str, kept: bool) -> None:
    heard = ask(headers=[("x-request-id", given)])
    assert (heard.headers["x-request-id"] == given) == kept
    assert heard.headers["x-request-id"]


def test_failures_are_told_without_their_insides(caplog: pytest.LogCaptureFixture) -> None:
    heard = ask(fails=RuntimeError("a secret"))
    assert heard.status == 500
    assert b"a secret" not in heard.body
    assert b"server_error" in heard.body
    assert heard.headers["x-request-id"].encode() in heard.body
    assert "a secret" in caplog.text
    assert ask(fails=ApiError(418, "short and stout")).status == 418


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("box.lan", False), ("localhost.lan", False)],
)  # fmt: skip
def test_addresses_that_only_this_machine_reaches(host: str, alone: bool) -> None:
    assert is_loopback(host) == alone
