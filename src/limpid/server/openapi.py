"""The description of the API that /openapi.json gives: FastAPI's, with the bodies that we read ourselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from limpid.server.errors import ErrorBody
from limpid.server.requests import Body, ChatBody, CompletionBody, DetokenizeBody, EmbeddingBody, TokenizeBody

_BODIES: tuple[type[Body], ...] = (ChatBody, CompletionBody, EmbeddingBody, TokenizeBody, DetokenizeBody)
_MEANINGS = {
    400: "The request cannot be answered; the message says why.",
    401: "No key, or the wrong one.",
    403: "A Host or Origin this server does not know.",
    404: "No such model, or no such address.",
    405: "The address takes another method.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    431: "The headers are too large.",
    429: "The queue is full; Retry-After says when to ask again.",
    500: "A fault of the server's.",
    503: "Models are being loaded, or the server stops.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text} for status, text in _MEANINGS.items()
}
_STREAM = {"schema": {"type": "string", "description": "With stream: chunks as data: lines, and data: [DONE]."}}


def description(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI table of ``app``."""
    table = get_openapi(
        title="limpid", version=app.version, routes=app.routes,
        summary="Models of one's own behind the API that clients of OpenAI's know.",
    )  # fmt: skip
    modes = [(kind, "validation") for kind in _BODIES]
    _, shapes = models_json_schema(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    table["components"]["schemas"] |= shapes["$defs"]
    table["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in table["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path != "/health":
                operation["security"] = [{}, {"key": []}]
            if body := operation.get("requestBody"):
                content = body["content"]["application/json"]
                content["schema"] = {"$ref": f"#/components/schemas/{content['schema']}"}
            if path.endswith("completions"):
                operation["responses"]["200"]["content"]["text/event-stream"] = _STREAM
    for name in ("HTTPValidationError", "ValidationError"):
        table["components"]["schemas"].pop(name, None)
    return table
