"""Embeddings, and text to tokens and back."""

from __future__ import annotations

import base64

import httpx
import numpy as np
import openai
import pytest
from tests.server.blackbox.asking import UNICODE, Live, answer, refused, tokens


def test_base64_is_the_floats(ai: openai.OpenAI, http: httpx.Client, live: Live) -> None:
    texts = ["The cat sat", "床前明月光", "The cat sat"]
    theirs = ai.embeddings.create(model=live.model, input=texts)  # the client asks for base64 and decodes it
    plain = answer(http, {"model": live.model, "input": texts, "encoding_format": "float"}, "/v1/embeddings")
    coded = answer(http, {"model": live.model, "input": texts, "encoding_format": "base64"}, "/v1/embeddings")
    assert plain["object"] == "list"
    assert [item["index"] for item in plain["data"]] == [0, 1, 2]
    for place, item in enumerate(plain["data"]):
        assert item["object"] == "embedding"
        raw = np.frombuffer(base64.b64decode(coded["data"][place]["embedding"]), dtype="<f4")
        assert np.array_equal(raw, np.array(item["embedding"], dtype=np.float32))
        assert np.allclose(theirs.data[place].embedding, item["embedding"], atol=0)
    vectors = [np.array(item["embedding"]) for item in plain["data"]]
    assert np.allclose(vectors[0], vectors[2], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-2)
    assert all(np.isfinite(vector).all() and np.linalg.norm(vector) > 0 for vector in vectors)
    assert plain["usage"]["prompt_tokens"] == plain["usage"]["total_tokens"] > 3
    assert theirs.usage.prompt_tokens == plain["usage"]["prompt_tokens"]


def test_a_text_is_its_token_ids(http: httpx.Client, live: Live) -> None:
    ids = tokens(http, live, "The cat sat")
    vectors = [
        answer(http, {"model": live.model, "input": form}, "/v1/embeddings")["data"][0]["embedding"]
        for form in ("The cat sat", ["The cat sat"], ids, [ids])
    ]
    assert all(np.allclose(vector, vectors[0], atol=1e-5) for vector in vectors)


@pytest.mark.parametrize("given", ["", [], [""], None, 7, {"a": 1}, [1.5], [-1], [10**9], "long " * 20_000])
def test_inputs_that_are_none(http: httpx.Client, live: Live, given: object) -> None:
    refused(http.post("/v1/embeddings", json={"model": live.model, "input": given}), 400)


@pytest.mark.parametrize(
    "text", ["The cat sat on the mat.", UNICODE, " two  spaces \n\n", "<|end|>", "\u0000\u0007", ""]
)
def test_tokens_and_back(http: httpx.Client, live: Live, text: str) -> None:
    found = answer(http, {"model": live.model, "prompt": text}, "/tokenize")
    assert found["count"] == len(found["tokens"])
    back = answer(http, {"model": live.model, "tokens": found["tokens"]}, "/detokenize")
    assert back["prompt"] == text


@pytest.mark.parametrize("ids", [[-1], [10**9], [1.5], ["a"], "abc", None, 7])
def test_tokens_that_are_none(http: httpx.Client, live: Live, ids: object) -> None:
    refused(http.post("/detokenize", json={"model": live.model, "tokens": ids}), 400)
