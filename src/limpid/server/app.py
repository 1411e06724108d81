"""The web application: addresses, the bodies they take and what they answer."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from limpid import __version__
from limpid.core.errors import LimpidError
from limpid.server import chat, completions
from limpid.server.answer import Left
from limpid.server.assets import add_app
from limpid.server.errors import ApiError, bad_request, context_exceeded, for_status
from limpid.server.lessons import add_lessons
from limpid.server.metrics import CONTENT_TYPE
from limpid.server.models import ModelCard, ServedModel
from limpid.server.openapi import ERRORS, description
from limpid.server.own import add_own_api
from limpid.server.reference import page
from limpid.server.requests import ChatBody, CompletionBody, DetokenizeBody, EmbeddingBody, ModelBody, TokenizeBody
from limpid.server.responses import (
    ChatCompletion,
    Detokenized,
    EmbeddingItem,
    EmbeddingList,
    Health,
    ModelList,
    TextCompletion,
    Tokens,
)
from limpid.server.state import State, read_model_body
from limpid.server.stream import Json, in_thread, unless_gone


def make_app(state: State) -> FastAPI:
    """The application over ``state``; `Guard` belongs around it."""
    app = FastAPI(
        title="limpid", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False,
        responses=ERRORS,
    )  # fmt: skip
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(Left, _left)
    app.add_exception_handler(LimpidError, _limpid_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _path_error)
    _status_routes(app, state)
    _generation_routes(app, state)
    _token_routes(app, state)
    table = description(app)
    add_own_api(app, state)
    add_lessons(app, state)
    add_app(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Json(table)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(page(table), headers={"content-security-policy": policy})

    return app


def _status_routes(app: FastAPI, state: State) -> None:
    @app.get("/health", response_model=Health, tags=["status"])
    async def health() -> Response:
        """200 when models answer; 503 while they are loaded, and while the server stops."""
        return Json({"status": "ok", "models": [model.name for model in state.ready()]})

    @app.get("/metrics", response_class=Response, responses=_PLAIN, tags=["status"])
    async def metrics() -> Response:
        """Counters, gauges and histograms for Prometheus."""
        return Response(state.metrics.render(), headers={"content-type": CONTENT_TYPE})

    @app.get("/v1/models", response_model=ModelList, tags=["models"])
    async def models() -> Response:
        """The models that are served."""
        return Json({"object": "list", "data": [model.card for model in state.ready()]})

    @app.get("/v1/models/{model_id:path}", response_model=ModelCard, tags=["models"])
    async def model(model_id: Annotated[str, PathParameter(description="A model's id.")]) -> Response:
        """One of them."""
        return Json(state.ready().find(model_id).card)


def _generation_routes(app: FastAPI, state: State) -> None:
    @app.post("/v1/chat/completions", response_model=ChatCompletion, openapi_extra=_takes(ChatBody), tags=["answers"])
    async def chat_completions(request: Request) -> Response:
        """The assistant's next turn; with ``stream``, as server-sent events."""
        model, body = await read_model_body(state, request, ChatBody)
        return await chat.answer(model, body, request)

    @app.post("/v1/completions", response_model=TextCompletion, openapi_extra=_takes(CompletionBody), tags=["answers"])
    async def text_completions(request: Request) -> Response:
        """How a text goes on; with ``stream``, as server-sent events."""
        model, body = await read_model_body(state, request, CompletionBody)
        return await completions.answer(model, body, request)


def _token_routes(app: FastAPI, state: State) -> None:
    @app.post("/v1/embeddings", response_model=EmbeddingList, openapi_extra=_takes(EmbeddingBody), tags=["texts"])
    async def embeddings(request: Request) -> Response:
        """A vector of length 1 for each text: the mean of its tokens' final hidden states."""
        model, body = await read_model_body(state, request, EmbeddingBody)
        texts = await in_thread(_inputs, model, body)
        vectors = await unless_gone(request, _vectors(model, texts))
        if body.dimensions not in (None, len(vectors[0])):
            raise bad_request(f"This model's vectors have {len(vectors[0])} numbers and cannot be cut.", "dimensions")
        count = sum(map(len, texts))
        model.runner.metrics.prompt_tokens.inc(count)
        data: list[EmbeddingItem] = [
            {"object": "embedding", "index": i, "embedding": _coded(vector, body)} for i, vector in enumerate(vectors)
        ]
        return Json(
            {"object": "list", "data": data, "model": model.name,
             "usage": {"prompt_tokens": count, "total_tokens": count}}
        )  # fmt: skip

    @app.post("/tokenize", response_model=Tokens, openapi_extra=_takes(TokenizeBody), tags=["texts"])
    async def tokenize(request: Request) -> Response:
        """The token ids of a text, or of a conversation as the chat template writes it."""
        model, body = await read_model_body(state, request, TokenizeBody)
        ids = await in_thread(_tokens, model, body)
        names = [model.tokenizer.token_text(i) for i in ids] if body.return_token_strs else None
        return Json({"count": len(ids), "max_model_len": model.context, "tokens": ids, "token_strs": names})

    @app.post("/detokenize", response_model=Detokenized, openapi_extra=_takes(DetokenizeBody), tags=["texts"])
    async def detokenize(request: Request) -> Response:
        """The text of token ids."""
        model, body = await read_model_body(state, request, DetokenizeBody)
        ids = model.prompt_ids(body.tokens, "tokens")
        return Json({"prompt": await in_thread(model.tokenizer.decode, ids)})


def _takes(kind: type[ModelBody]) -> dict[str, Any]:
    """The part of an operation's description that says what its body is."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.__name__}}}}


def _inputs(model: ServedModel, body: EmbeddingBody) -> list[list[int]]:
    texts = []
    for text in body.input:
        ids = model.prompt_ids(text, "input")
        if not text or not ids:
            raise bad_request("A text to embed is empty.", "input")
        if len(ids) > model.context:
            raise context_exceeded(len(ids), model.context, "input")
        texts.append(ids)
    return texts


async def _vectors(model: ServedModel, texts: list[list[int]]) -> list[list[float]]:
    return [await model.embedding(ids) for ids in texts]


def _coded(vector: list[float], body: EmbeddingBody) -> list[float] | str:
    if body.encoding_format != "base64":
        return vector
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")


def _tokens(model: ServedModel, body: TokenizeBody) -> list[int]:
    if body.messages is None:
        return model.tokenizer.encode(body.prompt or "")
    chat_body = ChatBody.model_construct(messages=body.messages)
    chat_body.check_messages()
    return model.chat_ids(chat_body.turns(), [])


# ------------------------------------------------------------------ errors


def _respond(error: ApiError) -> Response:
    return Response(error.encoded(), status_code=error.status, headers=error.headers, media_type="application/json")


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _respond(error)


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody hears it; metrics and the log count it under this number, as nginx does


async def _limpid_error(request: Request, error: Exception) -> Response:
    return _respond(bad_request(str(error)))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path[:200]}: {error.detail}."
    return _respond(for_status(error.status_code, detail, error.headers))


async def _path_error(request: Request, error: Exception) -> Response:
    return _respond(bad_request("The address is malformed."))


_PLAIN: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
