"""Encoders and classifiers behind the same addresses: what they tell, and that they say nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from tests.conftest import random_llama
from tests.server.conftest import Served, served

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.models.adapt import adapted, with_head
from limpid.models.bidirectional import Encoder
from limpid.models.encoder import EncoderConfig
from limpid.models.registry import build
from limpid.models.task import Task, TaskConfig, TaskModel
from limpid.parallel.environment import World
from limpid.server.loading import Sizes, open_runs, place_of
from limpid.text.task_inputs import task_tokens, with_task_tokens
from limpid.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat"


def random_encoder(vocab_size: int) -> Encoder:
    shape = {"context": 64, "d_model": 32, "n_layer": 2, "n_head": 4, "head_dim": 8, "d_ff": 64}
    model: Encoder = build(EncoderConfig.model_validate(shape | {"vocab_size": vocab_size}), seed=0)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(0.4 * torch.randn(parameter.shape, generator=draw))
    return model.eval()


def random_classifier(vocab_size: int, task: Task, **config: Any) -> TaskModel:
    backbone = adapted(random_llama(0, context=64), vocab_size, 0.0, 0)
    model = with_head(backbone, TaskConfig(backbone=backbone.config, task=task, **config), 0)
    with torch.no_grad():
        model.head.weight.mul_(20)
    return model.eval()


@pytest.fixture(scope="module")
def runs(write_run: Callable[..., Path], tokenizer: Tokenizer) -> dict[str, Path]:
    marked = with_task_tokens(tokenizer)
    sorted_ = random_classifier(marked.vocab_size, "single", outputs=3, labels=("good", "bad", "so so"))
    chooser = random_classifier(marked.vocab_size, "choice")
    scorer = random_classifier(marked.vocab_size, "similarity", mean=2.0, deviation=1.5)
    return {
        "bert": write_run("bert", random_encoder(tokenizer.vocab_size), tokenizer, "pretrain"),
        "sorter": write_run("sorter", sorted_, marked, "classify"),
        "chooser": write_run("chooser", chooser, marked, "classify"),
        "scorer": write_run("scorer", scorer, marked, "classify"),
    }


@pytest.fixture(scope="module")
def readers(runs: dict[str, Path]) -> Iterator[Served]:
    with served(list(runs.values())) as running:
        yield running


@pytest.fixture
def http(readers: Served) -> Iterator[httpx.Client]:
    with readers.http() as client:
        yield client


@pytest.mark.parametrize(("model", "noun"), [("bert", "an encoder"), ("sorter", "a classifier")])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/completions", {"prompt": "Hi", "echo": True, "max_tokens": 0}),
        ("/tokenize", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/talk", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/talk", {"prompt": "Hi"}),
    ],
)
def test_they_say_that_they_generate_no_text(
    http: httpx.Client, model: str, noun: str, path: str, body: dict[str, Any]
) -> None:
    response = http.post(path, json=body | {"model": model})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "model_does_not_generate"
    assert error["param"] == "model"
    assert error["message"].startswith(f"The model '{model}' is {noun}: ")
    assert error["message"].endswith("generates no text.")
    assert "\n" not in error["message"]


def test_what_is_told_of_them(http: httpx.Client, tokenizer: Tokenizer) -> None:
    assert [model["kind"] for model in http.get("/v1/models").json()["data"]] == ["encoder", *["classifier"] * 3]
    told = {model["name"]: model for model in http.get("/api/app").json()["models"]}
    assert told["bert"]["mask_token"] == tokenizer.vocab_size
    assert not told["bert"]["can_chat"]
    assert [told[name]["task"] for name in ("sorter", "chooser", "scorer")] == ["single", "choice", "similarity"]
    assert told["sorter"]["layers"] == 2


def test_an_encoder_on_a_text_with_a_hidden_token(
    http: httpx.Client, runs: dict[str, Path], tokenizer: Tokenizer
) -> None:
    ids = [*tokenizer.opening, *tokenizer.encode(TEXT)]
    ids[2] = tokenizer.vocab_size
    told = http.post("/api/trace", json={"model": "bert", "ids": ids}).json()
    (stack,) = told["stacks"]
    assert [token["label"] for token in stack["tokens"]][2] == "[MASK]"
    assert stack["tokens"][2]["special"]
    found = http.get(f"/api/trace/{told['id']}/next", params={"at": 2, "count": 5}).json()
    model = store.read(runs["bert"], Encoder).model.eval()
    with torch.no_grad():
        expected = model.scores(model(torch.tensor([ids])))[0, 2].softmax(-1)
    best = expected.topk(5)
    assert [one["token_id"] for one in found["candidates"]] == best.indices.tolist()
    np.testing.assert_allclose([one["probability"] for one in found["candidates"]], best.values, atol=1e-5)
    looked = http.get(f"/api/trace/{told['id']}/head/1/2")
    assert looked.headers["limpid-layout"] == "whole"  # a token sees what comes after it
    weights = np.frombuffer(looked.content, dtype="<f4").reshape(len(ids), len(ids))
    assert weights[0, 1:].min() > 0
    chapters = http.get(f"/api/trace/{told['id']}/walk").json()["chapters"]
    keys = [step["key"] for one in chapters for step in one["layers"][0]]
    assert keys[-2:] == ["lens", "logits"]  # nothing is drawn
    assert http.get(f"/api/trace/{told['id']}/scores").status_code == 200


def by_hand(model: TaskModel, sequence: list[int]) -> torch.Tensor:
    """The head's numbers for one sequence: its last token's state times the head's matrix, plus its bias."""
    with torch.no_grad():
        state = model.backbone(torch.tensor([sequence]))[0, -1]
        return model.head.weight @ state + model.head.bias  # type: ignore[operator, no-any-return]


def test_a_classifier_names_the_class(http: httpx.Client, runs: dict[str, Path]) -> None:
    checkpoint = store.read(runs["sorter"], TaskModel)
    tokenizer, model = checkpoint.tokenizer, checkpoint.model.eval()
    start, _, extract = task_tokens(tokenizer)
    sequence = [start, *tokenizer.encode(TEXT), extract]
    told = http.post("/api/classes", json={"model": "sorter", "texts": [TEXT]}).json()
    expected = by_hand(model, sequence).softmax(-1)
    assert told["sequences"] == [sequence]
    assert [one["label"] for one in told["classes"]] == ["good", "bad", "so so"]
    np.testing.assert_allclose([one["probability"] for one in told["classes"]], expected, atol=1e-5)
    assert told["label"] == ("good", "bad", "so so")[int(expected.argmax())]
    assert told["score"] is None
    traced = http.post("/api/trace", json={"model": "sorter", "text": TEXT}).json()
    assert [token["id"] for token in traced["stacks"][0]["tokens"]] == sequence  # what it reads is what is opened
    assert traced["kind"] == "classifier"


def test_choices_and_scores(http: httpx.Client, runs: dict[str, Path]) -> None:
    told = http.post("/api/classes", json={"model": "chooser", "texts": ["The cat", "sat", "flew"]}).json()
    model = store.read(runs["chooser"], TaskModel).model.eval()
    expected = torch.cat([by_hand(model, sequence) for sequence in told["sequences"]]).softmax(-1)
    np.testing.assert_allclose([one["probability"] for one in told["classes"]], expected, atol=1e-5)
    told = http.post("/api/classes", json={"model": "scorer", "texts": ["a cat", "the cat"]}).json()
    model = store.read(runs["scorer"], TaskModel).model.eval()
    with torch.no_grad():
        states = sum(model.backbone(torch.tensor([one]))[0, -1] for one in told["sequences"])
        score = 2.0 + 1.5 * float(model.head.weight[0] @ states + model.head.bias)  # type: ignore[operator]
    assert told["classes"] == []
    assert told["score"] == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": "sorter", "texts": ["a", "b"]}, "reads one text at a time, not 2"),
        ({"model": "scorer", "texts": ["a"]}, "reads two texts at a time, not 1"),
        ({"model": "chooser", "texts": ["a", "b"]}, "a context and two choices or more"),
        ({"model": "sorter", "texts": [""]}, "A text to classify is empty."),
        ({"model": "sorter", "texts": []}, "'texts'"),
        ({"model": "sorter", "texts": ["cat " * 100]}, "longer than the 64 tokens"),
        ({"model": "sorter", "texts": ["cat " * 100_000]}, "context is 64 tokens"),
        ({"model": "bert", "texts": ["a"]}, "The model 'bert' is no classifier."),
    ],
)
def test_nonsense_is_told(http: httpx.Client, body: dict[str, Any], said: str) -> None:
    response = http.post("/api/classes", json=body)
    assert response.status_code == 400, response.text
    assert said in response.json()["error"]["message"]


def test_their_vectors(http: httpx.Client, runs: dict[str, Path], tokenizer: Tokenizer) -> None:
    found = http.post("/v1/embeddings", json={"model": "bert", "input": TEXT}).json()["data"][0]["embedding"]
    model = store.read(runs["bert"], Encoder).model.eval()
    with torch.no_grad():
        mean = model(torch.tensor([[*tokenizer.opening, *tokenizer.encode(TEXT)]]))[0].mean(0)
    np.testing.assert_allclose(found, mean / mean.norm(), atol=1e-5)
    assert (
        len(http.post("/v1/embeddings", json={"model": "sorter", "input": TEXT}).json()["data"][0]["embedding"]) == 32
    )


@pytest.mark.parametrize("model", ["bert", "sorter"])
def test_their_tables_are_on_the_page_of_embeddings(http: httpx.Client, model: str) -> None:
    about = http.post("/api/embeddings/about", json={"model": model}).json()
    assert about["width"] == 32
    assert about["positions"]
    found = http.post("/api/embeddings/map", json={"model": model, "count": 10}).json()
    assert len(found["tokens"]) == 10


def test_of_a_finished_classifier_the_best_checkpoint_is_served(tmp_path: Path, runs: dict[str, Path]) -> None:
    checkpoint = store.read(runs["sorter"], TaskModel)
    world = World(0, 1, torch.device("cpu"))
    for step in (1, 2, 3):
        state = {"stage": "classify", "step": step, "best": {"step": 2, "value": 0.1}}
        store.write(store.checkpoint_path(tmp_path, step), checkpoint.model, checkpoint.tokenizer, state, world)
    (opened,) = open_runs([str(tmp_path)], Path, Sizes(rows=2), place_of("cpu", "float32"))
    assert opened.checkpoint.path == store.checkpoint_path(tmp_path, 2)


def test_a_reward_model_is_refused(write_run: Callable[..., Path], tokenizer: Tokenizer) -> None:
    backbone = random_llama(0, context=64)
    model = with_head(backbone, TaskConfig(backbone=backbone.config, task="reward"), 0)
    run = write_run("judge", model, tokenizer, "reward")
    with pytest.raises(LimpidError, match="is a reward model; limpid serve takes"):
        open_runs([str(run)], Path, Sizes(), place_of("cpu", "float32"))
