from __future__ import annotations

import time

import httpx
import openai
import pytest
from tests.server.blackbox.asking import Live, refused, said


def test_models_are_listed_and_looked_up(ai: openai.OpenAI, live: Live) -> None:
    listed = ai.models.list().data
    assert [model.id for model in listed] == live.models
    assert len(set(live.models)) == len(live.models)
    for model in listed:
        assert model.object == "model"
        assert model.owned_by
        assert 1_500_000_000 < model.created <= time.time() + 60
        assert ai.models.retrieve(model.id) == model


def test_each_name_is_its_own_model(http: httpx.Client, live: Live) -> None:
    if len(live.models) < 2:
        pytest.skip("one model is served")
    answers = {name: said(http, live.greedy(model=name)) for name in live.models}
    assert len(set(answers.values())) == len(answers)


def test_an_unknown_model(ai: openai.OpenAI, http: httpx.Client, live: Live) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ai.models.retrieve("gpt-17")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        ai.chat.completions.create(model="gpt-17", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "model_not_found"
    assert "gpt-17" in refused(http.get("/v1/models/gpt-17"), 404, code="model_not_found")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "http://127.0.0.1/", "a\0b", ".", "", "模型"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize"])
def test_names_are_looked_up_and_never_become_paths(http: httpx.Client, live: Live, path: str, name: str) -> None:
    body = live.chat(model=name, prompt="Hi", input="Hi")
    refused(http.post(path, json=body), 404, code="model_not_found")


@pytest.mark.parametrize("name", [7, 1.5, True, ["alpha"], {"id": "alpha"}])
def test_a_model_name_is_a_string(http: httpx.Client, live: Live, name: object) -> None:
    refused(http.post("/v1/chat/completions", json=live.chat(model=name)), 400, param="model")


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a%00b"])
def test_an_address_is_no_path_of_a_file(http: httpx.Client, name: str) -> None:
    response = http.get(f"/v1/models/{name}")
    assert response.status_code in (400, 404)
    assert set(response.json()) == {"error"}
