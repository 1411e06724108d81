"""A chat model behind an address that speaks OpenAI's protocol: limpid serve, vLLM, llama.cpp, Ollama and others."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from limpid.cli.speakers import Piece
from limpid.core.errors import LimpidError, did_you_mean
from limpid.text.chat import Message

if TYPE_CHECKING:
    from limpid.inference.sampler import Sampling

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
"""How long the next word may take: a long prompt on a slow machine is read before the first one comes."""
NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "seed": None}
"""Settings that change nothing are not sent: a server that does not know min_p need not refuse us for it."""
LONGEST_LINE = 2**24


class Refused(LimpidError):
    """The server answered with an error; ``code`` is its own name for it, where it has one."""

    def __init__(self, message: str, status: int, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Remote:
    """A model of a server.

    Args:
        url: where it is, with or without /v1 at the end. model: its name there; None: the only one there is.

    Raises:
        LimpidError: nobody answers there, the key is wrong, or the model is unknown.
    """

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.username:
            raise LimpidError(f"'{url}' is no address of a server; write for example http://127.0.0.1:8000")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise LimpidError("an API key consists of ASCII characters that can be printed; check --api-key.")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._base = re.sub(r"(/v1)?/*$", "", parts.path) + "/v1"
        self._key = key
        self._used: int | None = None
        self.model, self._context = self._choose(model)

    def introduction(self) -> str:
        context = f", context {self._context} tokens" if self._context else ""
        return f"{self.model} at {self.url}{context}."

    def fill(self, messages: Sequence[Message], sampling: Sampling) -> list[str]:
        """As the server counted for the last answer; nothing is known of a conversation that has changed since."""
        if self._used is None or not messages:
            return []
        return [f"{self._used:,}" + (f" of {self._context:,}" if self._context else "") + " tokens used"]

    def answer(self, messages: Sequence[Message], settings: dict[str, Any]) -> Iterator[Piece]:
        turns = list(messages)
        while True:
            try:
                yield from self._stream(turns, settings)
                return
            except Refused as refusal:
                shorter = _without_the_oldest(turns)
                if refusal.code != "context_length_exceeded" or len(shorter) == len(turns):
                    raise
                turns = shorter

    def _stream(self, messages: list[Message], settings: dict[str, Any]) -> Iterator[Piece]:
        sent = {k: v for k, v in settings.items() if k in ("temperature", "max_tokens")}
        sent |= {name: settings[name] for name, idle in NEUTRAL.items() if settings.get(name, idle) != idle}
        body = {"model": self.model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        connection = self._connect()
        counted = 0
        try:
            for event in _events(self._ask(connection, "POST", "/chat/completions", body | sent), self.url):
                if event.get("error"):
                    raise _refusal(event, f"{self.url} broke off its answer")
                if usage := event.get("usage"):
                    self._used = usage.get("total_tokens")
                    yield Piece("", usage.get("completion_tokens", counted) - counted)
                for choice in event.get("choices") or []:
                    if text := (choice.get("delta") or {}).get("content"):
                        counted += 1
                        yield Piece(text, 1)
        except (OSError, http.client.HTTPException) as error:
            raise LimpidError(f"the connection to {self.url} broke off: {_reason(error)}.") from None
        finally:
            connection.close()

    def _choose(self, model: str | None) -> tuple[str, int | None]:
        """The name of the model to talk with, and its context where the server tells."""
        connection = self._connect()
        try:
            listed = _read_json(self._ask(connection, "GET", "/models").read(), self.url).get("data")
        except Refused as refusal:
            if model is None or refusal.status != 404:
                raise
            return model, None  # not every server lists its models
        except (OSError, http.client.HTTPException) as error:
            raise LimpidError(f"the connection to {self.url} broke off: {_reason(error)}.") from None
        finally:
            connection.close()
        known = {entry["id"]: entry for entry in listed or [] if isinstance(entry, dict) and "id" in entry}
        if model is None and len(known) == 1:
            (model,) = known
        if model is None:
            raise LimpidError(f"{self.url} serves {', '.join(known) or 'no model'}; choose one with --model.")
        if model not in known:
            raise LimpidError(f"{self.url} has no model '{model}'.{did_you_mean(model, known)}")
        return model, known[model].get("context") or known[model].get("max_model_len")

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            hint = " Is the server running? limpid serve RUN starts one."
            raise LimpidError(f"nobody answers at {self.url}: {_reason(error)}.{hint}") from None
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None = None
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json, text/event-stream"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, self._base + path, content, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise self._explain(response)
        return response

    def _explain(self, response: http.client.HTTPResponse) -> Refused:
        said = response.read(2**20)
        if response.status == 401:
            what = "does not accept this key; check --api-key" if self._key else "wants a key: give --api-key"
            return Refused(f"{self.url} {what} (or LIMPID_API_KEY).", 401)
        if 300 <= response.status < 400:
            return Refused(
                f"{self.url} sends us on to {response.getheader('Location')}; give that as --url.", response.status
            )
        if response.status == 429:
            wait = response.getheader("Retry-After")
            return Refused(f"{self.url} is busy; try again{f' in {wait} s' if wait else ' in a moment'}.", 429)
        try:
            found = json.loads(said)
        except ValueError:
            found = {}
        return _refusal(found, f"{self.url}{self._base} answered {response.status} {response.reason}", response.status)


def _events(response: http.client.HTTPResponse, url: str) -> Iterator[dict[str, Any]]:
    """The events of a stream of server-sent events, up to [DONE].

    Raises:
        LimpidError: it is no such stream, or ends before that.
    """
    while line := response.readline(LONGEST_LINE):
        if not line.startswith(b"data:"):
            continue  # empty lines, comments, other fields
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        yield _read_json(data, url)
    raise LimpidError(f"{url} broke off in the middle of its answer.")


def _read_json(raw: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise LimpidError(f"{url} does not speak OpenAI's protocol: it answered {raw[:60]!r}.")
    return found


def _refusal(body: Any, otherwise: str, status: int = 200) -> Refused:
    """The server's own words of what was wrong, as far as it has any."""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    code = error.get("code") if isinstance(error, dict) else None
    words = " ".join(str(message).split())[:500] if message else ""
    return Refused(f"{otherwise}: {words}" if words else f"{otherwise}.", status, str(code or ""))


def _without_the_oldest(turns: list[Message]) -> list[Message]:
    """The conversation without its first question and answer; the system's words and the last question stay."""
    system = [turn for turn in turns if turn["role"] == "system"]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    if len(spoken) <= 1:
        return turns
    rest = spoken[1:]
    while len(rest) > 1 and rest[0]["role"] != "user":
        rest = rest[1:]
    return [*system, *rest]


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
