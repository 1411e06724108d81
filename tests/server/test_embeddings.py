"""The embeddings page's API: its numbers against the checkpoint's own, and what it says of bad questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from tests.models.variants import random_decoder
from tests.server.conftest import Served, served

from limpid.data import token_store
from limpid.data.document import Document
from limpid.server.run_folder import RunFolder
from limpid.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def sinusoidal_run(write_run: Callable[..., Path], tokenizer: Tokenizer) -> Path:
    return write_run("sines", random_decoder("gpt-sinusoidal", vocab_size=tokenizer.vocab_size), tokenizer)


@pytest.fixture(scope="module")
def turning_run(write_run: Callable[..., Path], tokenizer: Tokenizer) -> Path:
    """Rotary positions of base 500, four pairs a head."""
    return write_run("turns", random_decoder("llama", vocab_size=tokenizer.vocab_size), tokenizer)


@pytest.fixture(scope="module")
def own(
    run: Path, translator_run: Path, sinusoidal_run: Path, turning_run: Path, tokenizer: Tokenizer
) -> Iterator[Served]:
    token_store.write(run / "tokens" / "train.bin", tokenizer, [Document("The cat sat. The cat. 床前明月光", "a test")])
    with served([run, translator_run, sinusoidal_run, turning_run]) as running:
        yield running


@pytest.fixture
def ask(own: Served) -> Iterator[Callable[..., Any]]:
    with own.http() as client:

        def post(path: str, status: int = 200, **body: Any) -> Any:
            response = client.post(f"/api/embeddings/{path}", json={"model": "tiny"} | body)
            assert response.status_code == status, response.text
            if response.headers["content-type"] == "application/octet-stream":
                shape = tuple(map(int, response.headers["limpid-shape"].split(",")))
                return np.frombuffer(response.content, "<f4").reshape(shape)
            return response.json()

        yield post


@pytest.fixture(scope="module")
def weights(run: Path) -> dict[str, Any]:
    """The file itself, read by its own library."""
    (file,) = run.glob("checkpoints/*/model*.safetensors")
    return dict(load_file(file))


def test_what_there_is(ask: Callable[..., Any], weights: dict[str, Any], tokenizer: Tokenizer) -> None:
    about = ask("about")
    assert (about["rows"], about["width"]) == weights["embedding.weight"].shape
    assert about["tables"] == ["input", "output"]
    assert about["missing"] == {"tsne": None, "umap": None}
    assert about["positions"] == [{"stack": "decoder", "kind": "rotary", "learned": False, "places": 1024, "width": 4}]
    ids = tokenizer.encode("The cat sat. The cat. 床前明月光")
    assert about["counted"]["tokens"] == len(ids) + 1
    assert ask("about", model="sines")["positions"][0]["kind"] == "added"
    assert [p["stack"] for p in ask("about", model="translator")["positions"]] == ["decoder", "encoder"]


def test_the_most_frequent_tokens_come_first(ask: Callable[..., Any], tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("The cat sat. The cat. 床前明月光"), tokenizer.end_of_text]
    tokens = ask("map", count=8)["tokens"]
    assert [token["count"] for token in tokens] == sorted((ids.count(i) for i in set(ids)), reverse=True)[:8]
    assert all(ids.count(token["id"]) == token["count"] for token in tokens)


@pytest.mark.parametrize("table", ["input", "output"])
@pytest.mark.parametrize("unit", [False, True])
def test_the_map_is_the_one_of_another_library(
    ask: Callable[..., Any], weights: dict[str, Any], table: str, unit: bool
) -> None:
    found = ask("map", count=100, table=table, unit=unit, also=[300, 301])
    ids = [token["id"] for token in found["tokens"]]
    assert ids[-2:] == [300, 301] or {300, 301} <= set(ids)
    rows = weights["embedding.weight" if table == "input" else "head.weight"][ids].astype(np.float64)
    if unit:
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    judge = PCA(2).fit(rows)
    points = np.stack([found["x"], found["y"]], axis=1)
    wanted = judge.transform(rows)
    wanted *= np.sign((wanted * points).sum(0))  # an axis may point either way
    assert np.allclose(points, wanted, atol=1e-5)
    assert np.allclose(found["explained"], judge.explained_variance_ratio_, atol=1e-5)


def test_a_map_that_takes_long_says_how_far_it_is(ask: Callable[..., Any]) -> None:
    first = ask("map", count=60, method="tsne")
    assert first["state"] == "computing"
    deadline = time.monotonic() + 120
    shares = [first["done"]]
    while (now := ask("map", count=60, method="tsne"))["state"] != "done":
        shares.append(now["done"])
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert shares == sorted(shares)
    assert len(now["x"]) == 60
    assert ask("map", count=60, method="tsne")["x"] == now["x"]


def test_random_cells_are_the_checkpoints(ask: Callable[..., Any], weights: dict[str, Any]) -> None:
    draw = np.random.default_rng(0)
    for name, table in (("embedding.weight", "input"), ("head.weight", "output")):
        ids = draw.choice(320, 20, replace=False).tolist()
        found = ask("rows", table=table, items=[{"id": i} for i in ids])
        rows = np.array([item["row"] for item in found["items"]])
        assert np.allclose(rows, weights[name][ids], atol=1e-5)
        unit = weights[name][ids] / np.maximum(np.linalg.norm(weights[name][ids], axis=1, keepdims=True), 1e-12)
        assert np.allclose(found["dense"], unit @ unit.T, atol=1e-5)
        assert np.allclose(found["one_hot"], np.eye(20), atol=1e-6)


def test_words_of_several_tokens_are_their_mean(
    ask: Callable[..., Any], weights: dict[str, Any], tokenizer: Tokenizer
) -> None:
    (item,) = ask("rows", items=[{"word": "moonlight"}])["items"]
    ids = [token["id"] for token in item["tokens"]]
    assert tokenizer.decode(ids).strip() == "moonlight"
    assert len(ids) > 1
    assert np.allclose(item["row"], weights["embedding.weight"][ids].mean(0), atol=1e-5)


def test_neighbours_and_analogies(ask: Callable[..., Any], weights: dict[str, Any]) -> None:
    table = weights["embedding.weight"].astype(np.float64)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    found = ask("near", of={"id": 77}, count=9)["near"]
    order = [i for i in np.argsort(-(unit @ unit[77])) if i != 77][:9]
    assert [one["id"] for one in found] == order
    assert np.allclose([one["cosine"] for one in found], (unit @ unit[77])[order], atol=1e-5)
    words = ask("near", of={"word": "cat"}, count=5, among="words")["near"]
    assert all(one["text"] and one["text"].strip() for one in words)
    assert "cat" not in [one["text"].strip() for one in words]
    made = ask("analogy", a="cat", b="dog", c="mat", count=3)
    a, b, c = (unit[[t["id"] for t in made[n]]].mean(0) for n in "abc")
    if all(len(made[n]) == 1 for n in "abc"):
        target = b - a + c
        best = made["near"][0]
        assert best["cosine"] == pytest.approx(unit[best["id"]] @ target / np.linalg.norm(target), abs=1e-5)


def test_positions(ask: Callable[..., Any]) -> None:
    places, pairs = np.arange(64)[:, None], np.arange(4)[None]
    angle = places * 500.0 ** (-pairs / 4)
    cos, sin = (ask("positions", model="turns", view=view, places=64) for view in ("cos", "sin"))
    assert np.allclose(cos, np.cos(angle), atol=1e-4)
    assert np.allclose(sin, np.sin(angle), atol=1e-4)
    alike = ask("positions", model="turns", view="cosines", places=64)
    assert np.allclose(alike, np.cos(angle[:, None] - angle[None]).mean(-1), atol=1e-4)
    table = ask("positions", model="sines", view="values", places=20)
    assert table[7, 6] == pytest.approx(np.sin(7 / 10_000 ** (6 / table.shape[1])), abs=1e-5)
    with_encoder = ask("positions", model="translator", stack="encoder", view="values", places=5)
    assert with_encoder.shape[0] == 5


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("map", {"count": 2}, "count"),
        ("map", {"count": 5001}, "count"),
        ("map", {"method": "svd"}, "method"),
        ("map", {"table": "middle"}, "no table 'middle'"),
        ("map", {"search": "no token holds this text"}, "0 tokens match"),
        ("near", {"of": {"id": 320}}, "go from 0 to 319"),
        ("near", {"of": {"id": -1}}, "of.id"),
        ("near", {"of": {}}, "either"),
        ("near", {"of": {"id": 1, "word": "x"}}, "either"),
        ("rows", {"items": []}, "items"),
        ("positions", {"view": "values"}, "Nothing is added"),
        ("positions", {"model": "sines", "view": "cos"}, "Positions are added"),
        ("search", {"search": ""}, "search"),
    ],
)
def test_bad_questions(ask: Callable[..., Any], path: str, body: dict[str, Any], words: str) -> None:
    error = ask(path, 400, **body)["error"]
    assert words in f"{error['message']} {error['param']}"


def test_search(ask: Callable[..., Any], tokenizer: Tokenizer) -> None:
    assert [t["id"] for t in ask("search", search="#41")["tokens"]] == [41]
    begun = ask("search", search="<E5>")["tokens"]
    assert begun
    assert all(token["bytes"].startswith("e5") for token in begun)
    assert any(token["text"] is None for token in begun)
    held = ask("search", search="CAT")
    assert all("cat" in token["text"].lower() for token in held["tokens"])
    assert tokenizer.decode([t["id"] for t in ask("search", search="床前")["word"]]).strip() == "床前"


def test_a_checkpoint_that_is_gone(write_run: Callable[..., Path], tokenizer: Tokenizer) -> None:
    import shutil

    model = random_decoder("llama", vocab_size=tokenizer.vocab_size)
    going = write_run("going", model, tokenizer)
    with served([going]) as running, running.http() as client:
        shutil.rmtree(going)
        answer = client.post("/api/embeddings/about", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "checkpoint_gone")


def test_only_the_servers_own_page_and_clients_of_this_machine_may_ask(own: Served) -> None:
    with own.http(origin="https://evil.example") as client:
        assert client.post("/api/embeddings/about", json={}).status_code == 403
    with httpx.Client(base_url=own.url) as client:
        assert client.post("/api/embeddings/about", content="{}").status_code == 415


def test_word_vectors_of_a_run(own: Served, ask: Callable[..., Any], tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = tmp_path / "words" / "skipgram"
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text("# limpid skipgram\n")
    (run / "tokenizer.json").write_text(tokenizer.to_json())
    table = np.random.default_rng(0).normal(size=(320, 6)).astype(np.float32)
    save_file({"embedding": table}, run / "vectors.safetensors")
    assert "shows no runs" in ask("about", 400, run="words/skipgram")["error"]["message"]
    own.state.runs = RunFolder(tmp_path)
    try:
        about = ask("about", run="words/skipgram")
        assert (about["rows"], about["width"], about["tables"], about["positions"]) == (320, 6, ["input"], [])
        (row,) = ask("rows", run="words/skipgram", items=[{"id": 70}])["items"]
        assert np.allclose(row["row"], table[70], atol=1e-6)
        assert ask("about", 404, run="../words")["error"]["code"] == "run_not_found"
    finally:
        own.state.runs = None
