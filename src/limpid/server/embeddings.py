"""POST /api/embeddings/...: the tables of a model as the page of embeddings asks for them.

Bodies name a served model. Everything is computed on worker threads, from the checkpoint's own float32 numbers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from fastapi import FastAPI
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from limpid.core.errors import LimpidError
from limpid.inspection.positions import similarity, turn_similarity
from limpid.inspection.projection import Projection, missing
from limpid.inspection.token_vectors import cosines, nearest_tokens
from limpid.server.errors import bad_request
from limpid.server.requests import Body, ModelBody
from limpid.server.slices import raw
from limpid.server.state import State, read_model_body
from limpid.server.stream import Json, in_thread
from limpid.server.table_maps import MapMaker
from limpid.server.tables import Added, OpenTables, TableShelf
from limpid.server.talk import spelt

Floats = npt.NDArray[np.float32]
POINTS = 5000
"""The most tokens of one map."""
FOUND = 500
"""The most tokens that a search names."""
ITEMS = 32
Id = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class SourceBody(ModelBody):
    """run: one of the folder of runs, instead of a served model; one of word vectors as well."""

    run: Annotated[str, Field(min_length=1, max_length=500)] | None = None


class TableBody(SourceBody):
    """table: "input", or "output" where that is another one."""

    table: str = "input"


class Item(Body):
    """A token by its id, or a word: the mean of its tokens' rows."""

    id: Id | None = None
    word: Text | None = None


class MapBody(TableBody):
    """The ``count`` most frequent tokens, or those that ``search`` finds, and ``also``. unit: vectors of length 1."""

    method: Literal["pca", "tsne", "umap"] = "pca"
    count: Annotated[int, Field(ge=3, le=POINTS)] = 1000
    search: Annotated[str, Field(max_length=200)] = ""
    also: Annotated[list[Id], Field(max_length=ITEMS)] = Field(default_factory=list)
    unit: bool = False


class SearchBody(TableBody):
    search: Text
    count: Annotated[int, Field(ge=1, le=FOUND)] = 50


class NearBody(TableBody):
    """among: all tokens, or those that are whole words."""

    of: Item
    count: Annotated[int, Field(ge=1, le=200)] = 20
    among: Literal["tokens", "words"] = "tokens"


class AnalogyBody(TableBody):
    """a is to b as c is to what?"""

    a: Text
    b: Text
    c: Text
    count: Annotated[int, Field(ge=1, le=100)] = 10


class RowsBody(TableBody):
    items: Annotated[list[Item], Field(min_length=1, max_length=ITEMS)]


class PositionsBody(SourceBody):
    """view: "values" (T, D), or for rotary ones "cos" and "sin" (T, C/2); "cosines" (T, T) between places."""

    stack: Literal["decoder", "encoder"] = "decoder"
    view: Literal["values", "cos", "sin", "cosines"] = "values"
    places: Annotated[int, Field(ge=1, le=2048)] = 128


def add_embeddings(app: FastAPI, state: State) -> None:
    """The routes of the embeddings page."""
    shelf, maps = TableShelf(), MapMaker()

    def route(path: str, kind: type[SourceBody], work: Callable[[OpenTables, Any], Response]) -> None:
        async def answer(request: Request) -> Response:
            model, body = await read_model_body(state, request, kind)
            path = Path(model.facts["run"]) if body.run is None else _run(state, body.run)
            return await in_thread(lambda: work(shelf.open(path), body))

        handler: Callable[[Request], Awaitable[Response]] = answer
        app.post(f"/api/embeddings/{path}", include_in_schema=False)(handler)

    route("about", SourceBody, lambda tables, body: Json(_about(tables)))
    route("map", MapBody, lambda tables, body: Json(_map(tables, body, maps)))
    route("search", SearchBody, lambda tables, body: Json(_search(tables, body)))
    route("near", NearBody, lambda tables, body: Json(_near(tables, body)))
    route("analogy", AnalogyBody, lambda tables, body: Json(_analogy(tables, body)))
    route("rows", RowsBody, lambda tables, body: Json(_rows(tables, body)))
    route("positions", PositionsBody, lambda tables, body: raw(_positions(tables, body)))


def _run(state: State, name: str) -> Path:
    if state.runs is None:
        raise bad_request("This server shows no runs; name a model.", "run")
    return state.runs.find(name)


def _about(tables: OpenTables) -> dict[str, Any]:
    counts = tables.counts
    positions = [
        {"stack": stack, "kind": "added", "learned": one.learned, "places": len(one.table), "width": one.table.shape[1]}
        if isinstance(one, Added)
        else {"stack": stack, "kind": "rotary", "learned": False, "places": len(one.cos), "width": one.cos.shape[1]}
        for stack, one in tables.positions.items()
    ]
    return {
        "run": str(tables.path), "rows": len(tables.rows["input"]), "width": tables.rows["input"].shape[1],
        "tokens": tables.tokenizer.vocab_size, "tables": list(tables.rows),
        "counted": None if counts is None else {"tokens": counts.tokens, "file": str(counts.file)},
        "missing": {method: missing(method) for method in ("tsne", "umap")}, "positions": positions,
        "points": POINTS,
    }  # fmt: skip


def _map(tables: OpenTables, body: MapBody, maps: MapMaker) -> dict[str, Any]:
    chosen = _matching(tables, body.search, body.count) if body.search else tables.by_frequency[: body.count].tolist()
    ids = list(dict.fromkeys([*chosen, *_known(tables, body.also)]))
    if len(ids) < 3:
        raise bad_request(f"{len(ids)} tokens match; a map needs three or more.", "search", "too_few_points")
    vectors: Floats = tables.table(body.table)[ids]
    if body.unit:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    found = maps.ask(vectors, body.method)
    if not isinstance(found, Projection):
        return {"state": "computing", "done": found.done, "seconds": found.seconds, "points": len(ids)}
    return {
        "state": "done", "tokens": _tokens(tables, ids), "x": _numbers(found.points[:, 0]),
        "y": _numbers(found.points[:, 1]),
        "explained": None if found.explained is None else _numbers(found.explained),
    }  # fmt: skip


def _search(tables: OpenTables, body: SearchBody) -> dict[str, Any]:
    """The tokens that hold the text, and those it is made of as a word."""
    tokenizer = tables.tokenizer
    found = _matching(tables, body.search, body.count)
    word: list[int] | None = None
    if not body.search.startswith(("#", "<")):
        try:
            word = tables.words(body.table).tokens(body.search)
        except LimpidError:  # the vocabulary does not know it, which is no fault of a search
            word = None
    return {"tokens": _tokens(tables, found), "word": None if word is None else _tokens(tables, word),
            "vocabulary": tokenizer.vocab_size}  # fmt: skip


def _near(tables: OpenTables, body: NearBody) -> dict[str, Any]:
    table = tables.table(body.table)
    words = tables.words(body.table)
    own = _ids_of(tables, body.of, body.table)
    vector = table[own].mean(0)
    if body.among == "words":
        rows = table[list(words.ids.values())]
        left_out = [place for place, i in enumerate(words.ids.values()) if i in own]
        ids = list(words.ids.values())
        near = [n._replace(token_id=ids[n.token_id]) for n in nearest_tokens(rows, vector, body.count, left_out)]
    else:
        near = nearest_tokens(table[: tables.tokenizer.vocab_size], vector, body.count, own if len(own) == 1 else ())
    return {
        "of": _tokens(tables, own), "norm": float(np.linalg.norm(vector)),
        "near": [
            token | {"cosine": one.cosine, "product": one.product}
            for token, one in zip(_tokens(tables, [n.token_id for n in near]), near, strict=True)
        ],
    }  # fmt: skip


def _analogy(tables: OpenTables, body: AnalogyBody) -> dict[str, Any]:
    words = tables.words(body.table)
    given = {name: _tokens(tables, words.tokens(getattr(body, name))) for name in "abc"}
    found = words.analogy(body.a, body.b, body.c, body.count)
    tokens = _tokens(tables, [words.ids[n.word] for n in found])
    return {
        **given,
        "near": [token | {"word": n.word, "cosine": n.cosine} for token, n in zip(tokens, found, strict=True)],
    }


def _rows(tables: OpenTables, body: RowsBody) -> dict[str, Any]:
    """The rows of some tokens or words, and the cosines between them: of one-hot vectors and of dense ones."""
    table = tables.table(body.table)
    made_of = [_ids_of(tables, item, body.table) for item in body.items]
    dense = np.stack([table[ids].mean(0) for ids in made_of])
    one_hot = np.zeros((len(made_of), len(table)), dtype=np.float32)
    for row, ids in zip(one_hot, made_of, strict=True):
        for i in ids:
            row[i] += 1 / len(ids)
    return {
        "items": [
            {"tokens": _tokens(tables, ids), "row": _numbers(row), "norm": float(np.linalg.norm(row))}
            for ids, row in zip(made_of, dense, strict=True)
        ],
        "one_hot_width": len(table), "one_hot": [_numbers(row) for row in cosines(one_hot)],
        "dense": [_numbers(row) for row in cosines(dense)],
    }  # fmt: skip


def _positions(tables: OpenTables, body: PositionsBody) -> Floats:
    one = tables.positions.get(body.stack)
    if one is None:
        raise bad_request("This model adds no positions and turns nothing by them.", "stack")
    if isinstance(one, Added):
        table = one.table[: body.places]
        if body.view in ("cos", "sin"):
            raise bad_request("Positions are added in this model; it has no turns.", "view")
        return table if body.view == "values" else similarity(table)
    cos, sin = (turns[: body.places] for turns in one)
    if body.view == "values":
        raise bad_request("Nothing is added in this model: its positions turn queries and keys.", "view")
    return {"cos": cos, "sin": sin}[body.view] if body.view != "cosines" else turn_similarity(cos, sin)


# ------------------------------------------------------------------ tokens


def _ids_of(tables: OpenTables, item: Item, table: str) -> list[int]:
    if (item.id is None) == (item.word is None):
        raise bad_request("Give either a token's 'id' or a 'word'.", "of")
    return tables.words(table).tokens(item.word) if item.word is not None else _known(tables, [item.id or 0])


def _known(tables: OpenTables, ids: Sequence[int]) -> list[int]:
    last = tables.tokenizer.vocab_size - 1
    for i in ids:
        if i > last:
            raise bad_request(f"{i} is no token id of this model: they go from 0 to {last}.", "id")
    return list(ids)


def _matching(tables: OpenTables, search: str, count: int) -> list[int]:
    """``#12`` is an id; ``<E4 BD>`` are bytes that a token begins with; all else is text that a token holds, whole
    tokens first, then by frequency."""
    tokenizer = tables.tokenizer
    if search.startswith("#") and search[1:].isdecimal():
        return _known(tables, [int(search[1:][:12])])
    if search.startswith("<") and search.endswith(">"):
        try:
            prefix = bytes.fromhex(search[1:-1].replace("0x", " "))
            begun = [i for i in tables.by_frequency.tolist() if tokenizer.token_bytes(i).startswith(prefix)]
            return begun[:count] if prefix else []
        except ValueError:
            pass  # a control token, <|end|>
    needle = search.lower()
    whole, parts = [], []
    for i in tables.by_frequency.tolist():
        text = tokenizer.token_bytes(i).decode("utf-8", "ignore").lower()
        if text.strip() == needle.strip() and needle.strip():
            whole.append(i)
        elif needle in text:
            parts.append(i)
    return [*whole, *parts][:count]


def _tokens(tables: OpenTables, ids: Sequence[int]) -> list[dict[str, Any]]:
    counts = tables.counts
    found: list[dict[str, Any]] = json.loads(f"[{','.join(f'{{{spelt(tables.tokenizer, i)}}}' for i in ids)}]")
    if counts is not None:
        for token in found:
            token["count"] = int(counts.by_id[token["id"]])
    return found


def _numbers(values: npt.NDArray[Any]) -> list[float]:
    return [float(value) for value in values]
