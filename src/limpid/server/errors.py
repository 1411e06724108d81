"""Errors as the clients of OpenAI's API know them: a status and {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import ValidationError
from typing_extensions import TypedDict

JSON = "application/json"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
_KNOWN_BODY = 200  # characters of a client's own words that an error repeats


class ErrorDetail(TypedDict):
    """param: the field at fault, as a path. code: a word for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    error: ErrorDetail


class ApiError(Exception):
    """What the client is told instead of an answer. Statuses from 500 on make clients ask again: never for bad input.

    status: of HTTP. param: the field at fault. code: a word for programs. headers: that go with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.message = " ".join(message.split())
        self.headers = dict(headers or {})

    @property
    def body(self) -> ErrorBody:
        kind = _TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def encoded(self) -> bytes:
        """The body as JSON."""
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the client's own mistake."""
    return ApiError(400, message, param=param, code=code)


def context_exceeded(tokens: int | str, context: int, param: str) -> ApiError:
    """400 for a prompt that leaves no room for an answer."""
    return bad_request(
        f"This model's context is {context} tokens, and '{param}' alone has {tokens}; shorten it so that at least "
        "one token can follow.",
        param,
        "context_length_exceeded",
    )


def too_busy(message: str) -> ApiError:
    """429: the queue is full."""
    return ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": "1"})


def unavailable(message: str) -> ApiError:
    """503: not yet, or not any more."""
    return ApiError(503, message, code="service_unavailable", headers={"Retry-After": "5"})


def failure() -> ApiError:
    """500: a fault of ours. What it was stands in the log; a client could do nothing with it."""
    return ApiError(500, "The model failed on this; the server's log says more.")


def for_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error for a status that the web framework found, such as an unknown path or a wrong method."""
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(status)
    return ApiError(status, detail or HTTPStatus(status).phrase, code=code, headers=headers)


def for_validation(error: ValidationError) -> ApiError:
    """The first fault that pydantic found in a request's body, in words and with its path."""
    fault = error.errors(include_url=False)[0]
    place = [part for part in fault["loc"] if not (isinstance(part, str) and _is_branch(part))]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in ("dict_type", "model_type", "model_attributes_type"):
        message = "input should be an object"
    if fault["type"] == "missing":
        return bad_request(f"'{path}' is required.", path)
    given = repr(fault["input"])
    shown = given if len(given) <= _KNOWN_BODY else f"{given[:_KNOWN_BODY]}..."
    value = "" if isinstance(fault["input"], dict | list) else f" = {shown}"
    return bad_request(f"'{path}'{value}: {message[:1].lower()}{message[1:]}." if path else message, path or None)


def _is_branch(part: str) -> bool:
    """Whether a step of pydantic's path names the type it tried rather than a field."""
    return "[" in part or "(" in part or part in ("str", "int", "float", "bool", "dict", "list", "constrained-str")
