"""The addresses under /api/: what limpid's own page asks for, beside the API that other clients know."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from limpid import __version__
from limpid.server.chats import Chats
from limpid.server.embeddings import add_embeddings
from limpid.server.errors import ApiError, bad_request
from limpid.server.looking import add_looking
from limpid.server.models import ServedModel
from limpid.server.readers import ClassifierModel
from limpid.server.requests import Body, ModelBody
from limpid.server.run_pages import add_runs
from limpid.server.state import State, read_fields, read_model_body, read_table
from limpid.server.stepping import add_stepping
from limpid.server.stream import Json, in_thread, unless_gone
from limpid.server.talk import PromptBody, TalkBody, talk, tell_prompt

MAX_IMPORT_BYTES = 256 * 2**20
MAX_MESSAGE_BYTES = 32 * 2**20
"""An answer of a long context, with twenty candidates for every token."""
_ID = r"^[A-Za-z0-9_-]{1,64}$"
Id = Annotated[str, StringConstraints(pattern=_ID)]


class MessageFields(Body):
    """about: model, finish, speed and the like. tokens: their records; absent: those of the same content stay."""

    parent: Id | None = None
    role: Literal["system", "user", "assistant", "text"]
    content: str
    about: dict[str, Any]
    tokens: dict[str, Any] | None = None


class NamedMessage(MessageFields):
    id: Id


class ChatFields(Body):
    """settings: how the page leads the conversation; they are its own affair. messages: written with it."""

    title: Annotated[str, Field(max_length=200)]
    settings: dict[str, Any]
    current: Id | None = None
    messages: list[NamedMessage] = Field(default_factory=list)


class ClassesBody(ModelBody):
    """texts: one, or two of a pair, or a context and its choices."""

    texts: Annotated[list[str], Field(min_length=1, max_length=33)]

    def check(self) -> None:
        if not all(self.texts):
            raise bad_request("A text to classify is empty.", "texts", "empty_text")


def add_own_api(app: FastAPI, state: State) -> None:
    """The routes of the page's own API."""
    _add_models(app, state)
    _add_classes(app, state)
    _add_chats(app, state)
    add_looking(app, state)
    add_stepping(app, state)
    add_embeddings(app, state)
    add_runs(app, state)


def _add_models(app: FastAPI, state: State) -> None:
    @app.get("/api/app", include_in_schema=False)
    async def about() -> Response:
        models = [_facts(model) for model in state.ready()]
        return Json({"version": __version__, "models": models, "history": state.chats is not None})

    @app.post("/api/talk", include_in_schema=False)
    async def talking(request: Request) -> Response:
        return await talk(*await read_model_body(state, request, TalkBody))

    @app.post("/api/prompt", include_in_schema=False)
    async def prompt(request: Request) -> Response:
        return await tell_prompt(*await read_model_body(state, request, PromptBody))


def _add_classes(app: FastAPI, state: State) -> None:
    @app.post("/api/classes", include_in_schema=False)
    async def classes(request: Request) -> Response:
        """The class of a text. sequences: the token ids that were read of it."""
        model, body = await read_model_body(state, request, ClassesBody)
        if not isinstance(model, ClassifierModel):
            raise bad_request(f"The model {model.name!r} is no classifier.", "model")
        sequences = await in_thread(model.sequences, body.texts)
        found = await unless_gone(request, model.predict(body.texts))
        shares = [{"label": label, "probability": share} for label, share in found.probabilities.items()]
        return Json({"label": found.label, "classes": shares, "score": found.score, "sequences": sequences})


def _facts(model: ServedModel) -> dict[str, Any]:
    return {
        "name": model.name, "kind": model.kind, "context": model.context, "vocab_size": model.tokenizer.vocab_size,
        "can_chat": model.kind == "decoder" and model.tokenizer.can_chat, "created": model.created,
        "fingerprint": model.fingerprint, **model.facts,
    }  # fmt: skip


def _add_chats(app: FastAPI, state: State) -> None:
    def history() -> Chats:
        if state.chats is None:
            raise ApiError(503, "This server keeps no history of chats.", code="history_off")
        return state.chats

    @app.get("/api/chats", include_in_schema=False)
    async def listing(q: str = "") -> Response:
        chats = history()
        found = await in_thread(chats.list, q[:200])
        return Json({"chats": found, "kept_aside": str(chats.kept_aside) if chats.kept_aside else None})

    @app.get("/api/chats/{chat}", include_in_schema=False)
    async def read(chat: str) -> Response:
        found = await in_thread(history().read, chat)
        if found is None:
            raise _absent(chat)
        return Json(found)

    @app.put("/api/chats/{chat}", include_in_schema=False)
    async def write(chat: str, request: Request) -> Response:
        given = await read_fields(request, ChatFields, MAX_MESSAGE_BYTES)
        await in_thread(lambda: history().write(_id(chat), **given.model_dump()))
        return Json({})

    @app.delete("/api/chats/{chat}", include_in_schema=False)
    async def delete(chat: str) -> Response:
        if not await in_thread(history().delete, chat):
            raise _absent(chat)
        return Json({})

    @app.put("/api/chats/{chat}/messages/{message}", include_in_schema=False)
    async def write_message(chat: str, message: str, request: Request) -> Response:
        given = await read_fields(request, MessageFields, MAX_MESSAGE_BYTES)
        if not await in_thread(history().write_message, _id(chat), _id(message), given.model_dump()):
            raise _absent(chat)
        return Json({})

    @app.get("/api/chats/{chat}/messages/{message}/tokens", include_in_schema=False)
    async def tokens(chat: str, message: str) -> Response:
        found = await in_thread(history().tokens, chat, message)
        if found is None:
            raise ApiError(404, "No tokens are kept of this message.", code="no_tokens")
        return Json(found)

    @app.get("/api/export", include_in_schema=False)
    async def export(chat: str | None = None) -> Response:
        found = await in_thread(history().export, None if chat is None else [chat])
        return Json(found)

    @app.post("/api/import", include_in_schema=False)
    async def bring_in(request: Request) -> Response:
        table = await read_table(request, MAX_IMPORT_BYTES)
        return Json({"chats": await in_thread(history().bring_in, table)})


def _id(text: str) -> str:
    if not (0 < len(text) <= 64 and text.isascii() and text.replace("-", "_").replace("_", "a").isalnum()):
        raise bad_request("An id is up to 64 letters, digits, - and _.")
    return text


def _absent(chat: str) -> ApiError:
    return ApiError(404, f"There is no chat {chat[:64]!r}.", code="chat_not_found")
