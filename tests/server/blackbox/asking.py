"""What the black-box cases share: a server's address, requests, streams read by hand, errors looked at whole."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from bench.live_server import LiveServer
from bench.prometheus import read_metrics

KEY = "sk-limpid-test"
ORIGIN = "https://chat.example"
"""A page that our own server is told to answer."""
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
UNICODE = "床前明月光，疑是地上霜。🙂 the family 👨‍👩‍👧 waves 👋🏽. naïve Ω"
"""Characters of one to four bytes, and emoji joined of several; none is one token of a small byte-level vocabulary."""


@dataclass(frozen=True)
class Live:
    """A server: its address, key and models, and its process if it is ours."""

    url: str
    key: str | None
    models: list[str]
    server: LiveServer | None

    @property
    def model(self) -> str:
        return self.models[0]

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.auth, timeout=60)

    def chat(self, content: Any = "What is a cat?", **fields: Any) -> dict[str, Any]:
        """The body of a chat request with one user message (or the messages given)."""
        return {"model": self.model, "messages": [{"role": "user", "content": content}], "max_tokens": 24} | fields

    def greedy(self, content: Any = "What is a cat?", **fields: Any) -> dict[str, Any]:
        return self.chat(content, **{"temperature": 0} | fields)

    def text(self, prompt: Any = "The cat sat", **fields: Any) -> dict[str, Any]:
        """The body of a completions request, greedy."""
        return {"model": self.model, "prompt": prompt, "max_tokens": 24, "temperature": 0} | fields

    def metrics(self) -> dict[str, float]:
        return read_metrics(self.url, self.key)


def answer(http: httpx.Client, body: dict[str, Any], path: str = CHAT) -> dict[str, Any]:
    """The JSON of a request that must succeed."""
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def said(http: httpx.Client, body: dict[str, Any], path: str = CHAT) -> str:
    """The text of the first choice."""
    choice = answer(http, body, path)["choices"][0]
    text: str = choice["message"]["content"] if path == CHAT else choice["text"]
    return text


def tokens(http: httpx.Client, live: Live, text: str) -> list[int]:
    """What the server's tokenizer makes of ``text``."""
    found: list[int] = answer(http, {"model": live.model, "prompt": text}, "/tokenize")["tokens"]
    return found


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream, which must be ``data:`` lines between empty ones and end with [DONE] and nothing more."""
    done = False
    for line in lines:
        assert not (done and line), f"after [DONE]: {line!r}"
        if not line or line.startswith(":"):
            continue
        assert line.startswith("data: "), line
        done = line == "data: [DONE]"
        if not done:
            yield json.loads(line.removeprefix("data: "))
    assert done, "the stream ended without [DONE]"


def stream(http: httpx.Client, body: dict[str, Any], path: str = CHAT) -> list[dict[str, Any]]:
    """All events of a streamed request, which must succeed."""
    with http.stream("POST", path, json=body | {"stream": True}) as response:
        if response.status_code != 200:
            raise AssertionError(response.read().decode())
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"]
        return list(events(response.iter_lines()))


def deltas(chunks: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice of a stream."""
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(
        (choice["delta"].get("content") if "delta" in choice else choice["text"]) or "" for choice in choices
    )


def refused(response: httpx.Response, status: int, *, code: str | None = None, param: str | None = None) -> str:
    """Check an error: its status and OpenAI body, and that it carries a request id. Returns the message."""
    assert response.status_code == status, f"{response.status_code} {response.text[:300]}"
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"error"}, body
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str)
    assert error["message"].strip()
    assert "Traceback" not in error["message"]
    assert "\n" not in error["message"].strip()
    assert isinstance(error["type"], str)
    if status == 400:
        assert error["type"] == "invalid_request_error", error
    if code is not None:
        assert error["code"] == code, error
    if param is not None:
        assert re.split(r"[.\[]", error["param"] or "")[0] == param, error
    message: str = error["message"]
    return message


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, looking often; AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


def idle(live: Live) -> bool:
    """Whether nothing runs, waits, or holds a cache row."""
    found = live.metrics()
    return not any(found[f"limpid_{what}"] for what in ("requests_running", "requests_waiting", "cache_rows_in_use"))
