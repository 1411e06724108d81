"""/api/trace: every number is the library's own, in one's own model; what is gone, too long or nonsense is told."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.conftest import random_llama
from tests.server.conftest import Served, served

import limpid
from limpid.checkpoint import store
from limpid.inspection.trace import Trace
from limpid.inspection.trace import trace as take
from limpid.parallel.environment import World
from limpid.server.insides import Insides
from limpid.stages.seq2seq import load_translator
from limpid.text.tokenizer import Tokenizer

TEXT = "床前明月光 the cat sat 🙂 on the cat sat"


@pytest.fixture(scope="session")
def mine(run: Path) -> Trace:
    return limpid.load(run, device="cpu", dtype="float32").trace(TEXT)


def traced(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = http.post("/api/trace", json=fields or {"text": TEXT})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def array(http: httpx.Client, path: str, **params: Any) -> npt.NDArray[Any]:
    response = http.get(f"/api/trace/{path}", params=params)
    assert response.status_code == 200, response.text
    kind = {"float32": "<f4", "int32": "<i4", "uint8": "u1"}[response.headers["limpid-dtype"]]
    shape = tuple(int(n) for n in response.headers["limpid-shape"].split(",") if n)
    flat = np.frombuffer(response.content, dtype=kind)
    if response.headers["limpid-layout"] == "whole":
        return flat.reshape(shape)
    whole = np.zeros(shape, dtype=flat.dtype)
    whole[np.tril_indices(shape[0])] = flat
    return whole


def refused(http: httpx.Client, **fields: Any) -> str:
    response = http.post("/api/trace", json=fields)
    assert response.status_code == 400, response.text
    message: str = response.json()["error"]["message"]
    assert "\n" not in message
    return message


def test_what_a_trace_says_of_itself(http: httpx.Client, mine: Trace) -> None:
    told = traced(http)
    (stack,) = told["stacks"]
    assert [token["id"] for token in stack["tokens"]] == mine.ids
    assert [token["label"] for token in stack["tokens"]] == [token.label for token in mine.tokens]
    assert bytes.fromhex("".join(token["bytes"] for token in stack["tokens"])).decode() == TEXT
    assert {name: tuple(shape) for name, shape in told["names"].items()} == mine.names()
    best = mine.next_tokens(20).candidates
    assert [one["token_id"] for one in told["next"]["candidates"]] == [one.token_id for one in best]
    assert told["context"] == 1024
    assert told["kind"] == "decoder"
    assert traced(http)["id"] == told["id"]
    assert traced(http, text="other")["id"] != told["id"]


def test_every_array_is_the_librarys(http: httpx.Client, mine: Trace) -> None:
    trace_id = traced(http)["id"]
    generator = np.random.default_rng(0)
    for name, shape in mine.names().items():
        theirs = array(http, f"{trace_id}/array", name=name)
        assert np.allclose(theirs, mine[name], atol=1e-6, rtol=0), name
        at = [int(generator.integers(n)) for n in shape]
        index = ",".join(str(n) if generator.random() < 0.6 else f"{n}:{n + 2}" for n in at)
        steps = tuple(
            int(step) if ":" not in step else slice(*map(int, step.split(":")))
            for step in index.split(",")
        )  # fmt: skip
        cut = array(http, f"{trace_id}/array", name=name, index=index)
        assert cut.shape == theirs[steps].shape
        assert np.allclose(cut, theirs[steps], atol=1e-6, rtol=0), (name, index)
        assert array(http, f"{trace_id}/array", name=name, index="1:1").shape == mine[name][1:1].shape, name


def test_heads(http: httpx.Client, mine: Trace) -> None:
    trace_id = traced(http)["id"]
    for layer in range(2):
        assert np.array_equal(array(http, f"{trace_id}/heads", layer=layer), mine.thumbnails()[layer])
        for head in range(4):
            for stage in ("pattern", "raw", "scaled", "masked"):
                theirs = array(http, f"{trace_id}/head/{layer}/{head}", stage=stage)
                own = mine.pattern(layer, head, stage=stage)  # type: ignore[arg-type]
                seen = np.isfinite(own)
                assert np.allclose(theirs[seen], own[seen], atol=1e-5)
    assert np.allclose(array(http, f"{trace_id}/rollout"), mine.rollout(), atol=1e-6)


def test_findings(http: httpx.Client, mine: Trace) -> None:
    trace_id = traced(http)["id"]

    def ask(path: str, **params: Any) -> Any:
        return http.get(f"/api/trace/{trace_id}/{path}", params=params).raise_for_status().json()

    lens = ask("lens", places="2,-1")
    own = mine.lens()
    assert lens["places"] == [2, len(mine) - 1]
    for depth in range(3):
        for column, place in enumerate(lens["places"]):
            for rank, one in enumerate(lens["depths"][depth][column]):
                assert one["token_id"] == own.ids[depth, place, rank]
                assert abs(one["probability"] - own.probabilities[depth, place, rank]) < 1e-6
    shares = ask("attribution", neurons=1, sources="1.2", at=3)
    attribution = mine.attribution(at=3)
    assert np.allclose(shares["heads"]["attn"], attribution.heads["attn"], atol=1e-6)
    assert np.allclose(shares["neurons"], attribution.neurons(1), atol=1e-6)
    assert np.allclose(shares["sources"], attribution.sources(1, 2), atol=1e-6)
    assert abs(shares["total"] - shares["logit"]) < 1e-3
    scores, heads = ask("scores"), mine.head_scores()
    assert all(np.allclose(scores[kind], getattr(heads, kind), atol=1e-6) for kind in ("previous", "induction"))
    assert ask("next", at=2, count=3)["candidates"][0]["token_id"] == mine.next_tokens(3, 2).candidates[0].token_id
    for theirs, token in zip(ask("read")["tokens"], mine.read(), strict=True):
        assert theirs["rank"] == token.rank
        assert theirs["probability"] == pytest.approx(token.probability, abs=1e-6)


def test_surgery(http: httpx.Client, mine: Trace, run: Path) -> None:
    trace_id = traced(http)["id"]
    effect = http.post(f"/api/trace/{trace_id}/ablate", json={"parts": ["head:0.3", "mlp:1"], "how": "mean"}).json()
    own = mine.ablate("head:0.3", "mlp:1", how="mean")
    assert effect["divergence"] == pytest.approx(own.divergence, abs=1e-6)
    assert [one["token_id"] for one in effect["after"]["candidates"]] == [c.token_id for c in own.after.candidates]
    other = [*mine.ids[:5], 7, *mine.ids[6:]]
    source = traced(http, ids=other)["id"]
    clean = limpid.load(run, device="cpu", dtype="float32")
    clean_trace, corrupted = clean.trace(other), clean.trace(TEXT)
    patched = http.post(f"/api/trace/{trace_id}/patch", json={"source": source, "parts": ["resid:0"], "places": [5]})
    assert patched.json()["divergence"] == pytest.approx(
        corrupted.patch(clean_trace, "resid:0", places=[5]).divergence, abs=1e-6
    )
    sweep = http.post(f"/api/trace/{trace_id}/sweep", json={"source": source, "answer": 5, "wrong": 7, "kind": "head"})
    assert np.array(sweep.json()["recovered"]).shape == (2, 4)
    compared = http.get(f"/api/trace/{trace_id}/compare/{trace_id}").json()
    assert max(compared["divergence"]) == 0
    assert np.allclose(compared["attention"], 0, atol=1e-6)


def test_chats_and_answers(http: httpx.Client, run: Path) -> None:
    lm = limpid.load(run, device="cpu", dtype="float32")
    messages = [{"role": "user", "content": "Hello"}]
    prompt = [token["id"] for token in http.post("/api/prompt", json={"messages": messages}).json()["tokens"]]
    told = traced(http, messages=messages, answer=[5, 6])
    assert [token["id"] for token in told["stacks"][0]["tokens"]] == [*prompt, 5, 6]
    assert [t["special"] for t in told["stacks"][0]["tokens"][:2]] == [True, True]
    text = traced(http, text="Hello", answer=[5])
    ids = [token["id"] for token in text["stacks"][0]["tokens"]]
    assert ids == [*lm.trace("Hello").ids, 5]
    assert traced(http, ids=ids)["id"] == text["id"]


def test_a_translator(http: httpx.Client, translator_run: Path) -> None:
    told = traced(http, model="translator", text="the cat", target="a dog")
    own = load_translator(translator_run, device="cpu", dtype="float32").trace("the cat", "a dog")
    assert [(stack["name"], stack["kinds"]) for stack in told["stacks"]] == [
        ("encoder", ["attn"]), ("decoder", ["attn", "cross_attn"]),
    ]  # fmt: skip
    for stack, kind, layout in (("encoder", "attn", "whole"), ("decoder", "attn", "triangle"),
                                ("decoder", "cross_attn", "whole")):  # fmt: skip
        path = f"{told['id']}/head/1/2"
        params = {"stack": stack, "kind": kind}
        assert http.get(f"/api/trace/{path}", params=params).headers["limpid-layout"] == layout
        assert np.allclose(array(http, path, **params), own.pattern(1, 2, stack=stack, kind=kind), atol=1e-5)
    name = "decoder.0.cross_attn.hook_pattern"
    assert np.allclose(array(http, f"{told['id']}/array", name=name, index="2,1"), own[name][2, 1], atol=1e-6)
    assert "translator" in refused(http, model="tiny", text="the cat", target="a dog")
    assert traced(http, model="translator", text="the cat")["stacks"][1]["tokens"]  # its own translation


@pytest.mark.parametrize(
    "text",
    ["🙂👨‍👩‍👧", "שלום عليكم", "a\u200bb\u200d", "\x00\x07\x1b\x7f", "x" * 900, " ", "\n\n", "\ufffd", "e\u0301"],
)
def test_texts_of_every_kind(http: httpx.Client, text: str) -> None:
    (stack,) = traced(http, text=text)["stacks"]
    assert bytes.fromhex("".join(token["bytes"] for token in stack["tokens"])).decode() == text


def test_bad_input_is_told(http: httpx.Client) -> None:
    response = http.post("/api/trace", json={"text": "x" * 10_000})
    assert response.status_code == 400
    error = response.json()["error"]
    over = error["message"].split("it is ")[1].split(" tokens too long")[0]
    assert int(over.replace(",", "")) > 1000
    assert error["code"] == "context_length_exceeded"
    assert "empty" in refused(http, text="")
    assert "Give one of" in refused(http)
    assert "Give one of" in refused(http, text="a", ids=[1])
    assert "no token ids" in refused(http, ids=[])
    assert "outside" in refused(http, ids=[320])
    assert http.post("/api/trace", json={"model": "absent", "text": "a"}).status_code == 404
    trace_id = traced(http)["id"]
    for path in (
        "array?name=blocks.0.attn.hook_patern", "array?name=logits&index=9999", "array?name=logits&index=1,2,3",
        "array?name=logits&index=a", "array?name=logits&index=1:2:3", "heads?layer=2", "heads?layer=0&kind=cross_attn",
        "head/0/9", "head/9/0", "head/0/0?stack=encoder", "head/0/0?stage=half", "head/x/0", "rollout?stack=decoder",
        "lens?places=x", "lens?places=9999", "attribution?at=999", "attribution?token=99999",
        "attribution?sources=1", "attribution?sources=7.7", "attribution?neurons=9", "next?at=999", "heads?layer=-1",
    ):  # fmt: skip
        answer = http.get(f"/api/trace/{trace_id}/{path}")
        assert answer.status_code == 400, path
        assert answer.json()["error"]["message"]
    for parts in ([], ["head:9.9"], ["nothing"], ["neuron:0"]):
        assert http.post(f"/api/trace/{trace_id}/ablate", json={"parts": parts}).status_code == 400
    assert "Did you mean" in http.get(f"/api/trace/{trace_id}/array?name=logit").json()["error"]["message"]


def test_too_much_at_once_is_told(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_id = traced(http)["id"]
    monkeypatch.setattr("limpid.server.slices.NUMBERS", 100)
    answer = http.get(f"/api/trace/{trace_id}/array", params={"name": "logits"})
    assert answer.status_code == 400
    assert "at most 100 are sent at once" in answer.json()["error"]["message"]
    assert array(http, f"{trace_id}/array", name="logits", index="0,0:100").shape == (100,)


def test_a_trace_that_is_gone_says_so(http: httpx.Client, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.state.insides, "_limits", (3, 2, 2**29))
    first = traced(http, text="one")["id"]
    for text in ("two", "three"):
        traced(http, text=text)
    for path in (f"{first}/heads?layer=0", "absent/next"):
        response = http.get(f"/api/trace/{path}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "trace_gone")
    assert traced(http, text="one")["id"] == first
    assert http.get(f"/api/trace/{first}/heads?layer=0").status_code == 200
    monkeypatch.setattr(server.state.insides, "_limits", (3, 16, 1))
    kept = traced(http, text="four")["id"]  # one always stays
    assert http.get(f"/api/trace/{kept}/next").status_code == 200


@pytest.fixture
def own_run(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    write(tmp_path / "own", 0, tokenizer)
    return tmp_path / "own"


def write(run: Path, seed: int, tokenizer: Tokenizer) -> None:
    world = World(0, 1, torch.device("cpu"))
    store.write(store.checkpoint_path(run, 1), random_llama(seed), tokenizer, {"stage": "sft", "step": 1}, world)


@pytest.mark.parametrize("gone", [True, False])
def test_a_run_that_was_replaced_is_noticed(own_run: Path, tokenizer: Tokenizer, gone: bool) -> None:
    with served([own_run]) as one, one.http() as http:
        shutil.rmtree(own_run)
        if not gone:
            write(own_run, 1, tokenizer)
        response = http.post("/api/trace", json={"text": "a"})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "model_replaced")
    if not gone:
        with served([own_run]) as one, one.http() as http:
            assert http.post("/api/trace", json={"text": "a"}).status_code == 200


def test_the_guard_covers_it(run: Path) -> None:
    with served([run], key="sesame") as one, one.http() as http:
        assert http.post("/api/trace", json={"text": "a"}).status_code == 401
        assert http.get("/api/trace/x/next").status_code == 401
        assert (
            http.post("/api/trace", json={"text": "a"}, headers={"authorization": "Bearer sesame"}).status_code == 200
        )
        assert http.post("/api/trace", json={"text": "a"}, headers={"origin": "http://evil.example"}).status_code == 403


@pytest.fixture
def insides() -> Insides:
    return Insides(models=1)


def test_few_models_are_kept(server: Served, insides: Insides) -> None:
    tiny, translator = server.model("tiny"), server.model("translator")
    first = insides.subject(tiny)
    kept = insides.keep(tiny, take(first.model, [1, 2, 3], first.tokenizer))
    assert insides.subject(tiny) is first
    insides.subject(translator)
    assert insides.subject(tiny) is not first
    with pytest.raises(Exception, match="kept no longer"):
        insides.find(kept.id)  # it went with its model


def test_memory_that_is_short_is_told(server: Served, insides: Insides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.server.insides.free_bytes", lambda device: 10)
    with pytest.raises(Exception, match="GB more memory"):
        insides.subject(server.model("tiny"))


def test_nothing_is_put_on_the_model_that_answers(http: httpx.Client, server: Served) -> None:
    """Traces and answers at once, from several threads: answers stay what they were."""
    asked = {"model": "tiny", "prompt": "The cat", "max_tokens": 40, "temperature": 0, "seed": 1}
    alone = http.post("/v1/completions", json=asked).json()["choices"][0]["text"]
    found: list[Any] = []

    def look(number: int) -> None:
        with server.http() as client:
            trace_id = traced(client, text=f"{TEXT} {number}")["id"]
            found.append(client.get(f"/api/trace/{trace_id}/scores").status_code)
            found.append(client.get(f"/api/trace/{trace_id}/heads?layer=1").status_code)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    assert http.post("/v1/completions", json=asked).json()["choices"][0]["text"] == alone
    for thread in threads:
        thread.join()
    assert found == [200] * 12
