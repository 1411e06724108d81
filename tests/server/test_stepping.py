"""/api/trace/ID/...: steps, workings, rows, weights, the draw: the library's own; nonsense is told in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from tests.server.conftest import Served

import limpid
from limpid.inference.sampler import Sampling, draw, shape_distribution
from limpid.inspection.trace import Trace

TEXT = "床前明月光 the cat sat"


@pytest.fixture(scope="session")
def mine(run: Path) -> Trace:
    return limpid.load(run, device="cpu", dtype="float32").trace(TEXT)


@pytest.fixture
def path(http: httpx.Client) -> str:
    return f"/api/trace/{http.post('/api/trace', json={'text': TEXT}).json()['id']}"


def test_the_walk_and_a_working(http: httpx.Client, path: str, mine: Trace) -> None:
    chapters = http.get(f"{path}/walk").json()["chapters"]
    assert [(c["kind"], len(c["layers"])) for c in chapters] == [(c.kind, len(c.layers)) for c in mine.walk()]
    assert [s["key"] for s in chapters[1]["layers"][0]] == [s.key for s in mine.walk()[1].layers[0]]
    found = http.get(f"{path}/worked", params={"name": "blocks.0.attn.hook_pattern", "index": "2,5,1"}).json()
    own = mine.worked("blocks.0.attn.hook_pattern", 2, 5, 1)
    assert found["value"] == pytest.approx(own.value)
    assert (found["rule"], found["sources"]) == (own.recipe.rule, own.recipe.sources)
    scores = [-np.inf if x is None else x for x in found["rows"]["x"]]
    np.testing.assert_allclose(scores, own.recipe.rows["x"], rtol=1e-5)
    assert scores[6] == -np.inf  # what is hidden is null


def test_rows_come_together(http: httpx.Client, path: str, mine: Trace) -> None:
    wanted = {"blocks.1.attn.hook_q": (3, 2), "blocks.0.hook_attn_out": (4,), "blocks.0.attn.hook_pattern": (1,)}
    of = [f"{name}@{','.join(map(str, index))}" for name, index in wanted.items()]
    response = http.get(f"{path}/rows", params={"of": of})
    whole = np.concatenate([mine[name][index].ravel() for name, index in wanted.items()])
    np.testing.assert_allclose(np.frombuffer(response.content, "<f4"), whole, atol=1e-6)


def test_parts_of_weights(http: httpx.Client, path: str, mine: Trace) -> None:
    name = "blocks.1.feed_forward.gate_up.weight"
    response = http.get(f"{path}/weights", params={"name": name, "index": "5:8,2:6"})
    weight = mine.subject.model.get_parameter(name).detach()
    assert response.headers["limpid-shape"] == "3,4"
    assert response.headers["limpid-whole"] == ",".join(map(str, weight.shape))
    np.testing.assert_array_equal(np.frombuffer(response.content, "<f4").reshape(3, 4), weight[5:8, 2:6].numpy())
    everything = http.get(f"{path}/weights", params={"name": "head.weight"})
    assert len(everything.content) == 4 * mine.subject.model.get_parameter("head.weight").numel()


def test_the_draw(http: httpx.Client, path: str, mine: Trace) -> None:
    asked = {"at": 4, "temperature": 0.7, "top_k": 9, "top_p": 0.8, "min_p": 0.05, "uniform": 0.9, "count": 12}
    found = http.get(f"{path}/sampling", params=asked).json()
    sampling = Sampling(temperature=0.7, top_k=9, top_p=0.8, min_p=0.05)
    final = shape_distribution(torch.from_numpy(mine.logits(4))[None], sampling)
    assert found["token"] == int(draw(final, torch.tensor([0.9], dtype=torch.float64))[0])
    for one in found["candidates"]:
        assert one["final"] == pytest.approx(float(final[0, one["id"]]), abs=1e-6)
        assert one["until"] == pytest.approx(float(final[0, : one["id"] + 1].sum()), abs=1e-5)
    assert found["kept"]["final"] == int((final > 0).sum())
    alone = http.get(f"{path}/sampling", params={"temperature": 0}).json()
    assert alone["token"] == int(mine.logits().argmax())


def test_looks_and_the_lens_of_a_token(http: httpx.Client, path: str, mine: Trace) -> None:
    looks = http.get(f"{path}/gaze", params={"at": 8, "count": 3}).json()["looks"]
    assert [(one["layer"], one["head"]) for one in looks] == [(one.layer, one.head) for one in mine.gaze(8, 3)]
    found = http.get(f"{path}/follow", params={"at": 5, "token": 7}).json()
    logits = torch.from_numpy(mine.logits(5))
    assert found["ranks"][-1] == [int((logits > logits[7]).sum()) + 1]


@pytest.mark.parametrize(
    ("route", "params", "said"),
    [
        ("worked", {"name": "blocks.0.attn.hook_q", "index": "0,9,0"}, "[0, 9, 0] is no place in it"),
        ("worked", {"name": "blocks.9.hook_q", "index": "0"}, "nothing called 'blocks.9.hook_q'"),
        ("worked", {"name": "logits", "index": "one"}, "'one' is no place in an array"),
        ("rows", {"of": "hook_nothing@0"}, "nothing called 'hook_nothing'"),
        ("rows", {"of": "logits@0,1,2"}, "'0,1,2' names 3"),
        ("weights", {"name": "blocks.0.attention.qkv.wight"}, "Did you mean 'blocks.0.attention.qkv.weight'"),
        ("weights", {"name": "head.weight", "index": "a"}, "'a' is no index"),
        ("follow", {"token": 10**6}, "outside the vocabulary"),
        ("gaze", {"at": 4000}, "outside the text"),
        ("sampling", {"temperature": -1}, ""),
    ],
)
def test_nonsense_is_told(http: httpx.Client, path: str, route: str, params: dict[str, Any], said: str) -> None:
    response = http.get(f"{path}/{route}", params=params)
    assert response.status_code == 400, response.text
    assert said in response.json()["error"]["message"]


def test_a_trace_that_is_gone(http: httpx.Client, server: Served) -> None:
    for route in ("walk", "gaze", "sampling"):
        response = http.get(f"/api/trace/nothing/{route}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "trace_gone"
