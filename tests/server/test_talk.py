"""/api/talk: every token with its numbers, and answers that go on from given tokens as if they had never paused."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest

import limpid
from limpid.inference.language_model import LanguageModel
from limpid.inference.sampler import Sampling

USER = {"role": "user", "content": "床前 the cat?"}
WARM = {"temperature": 1.1, "top_k": 40, "frequency_penalty": 0.7, "presence_penalty": 0.2, "repetition_penalty": 1.2}


@pytest.fixture(scope="session")
def twin(run: Any) -> LanguageModel:
    return limpid.load(run, device="cpu", dtype="float32")


def talk(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    with http.stream("POST", "/api/talk", json={"max_tokens": 24, "seed": 3} | fields) as response:
        assert response.status_code == 200, response.read()
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def tokens(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == "token"]


def test_records(http: httpx.Client, twin: LanguageModel) -> None:
    first, *said, end = talk(http, messages=[USER], temperature=0.9)
    assert first["type"] == "prompt"
    assert first["text"] == "<|endoftext|><|user|>床前 the cat?<|end|><|assistant|>"
    assert end["usage"] == {"prompt_tokens": first["tokens"], "prefix_tokens": 0, "completion_tokens": len(said)}
    assert end["finish"] == "length"
    assert end["tokens_per_second"] > 0
    assert "".join(token["text"] for token in said) == twin.chat(
        [USER], max_tokens=24, seed=3, temperature=0.9
    ).replace("\ufffd", "")
    assert all(token["bytes"] == twin.tokenizer.token_bytes(token["id"]).hex() for token in said)
    for token in said:
        assert len(token["alternatives"]) == 20
        for one in token["alternatives"]:
            raw = bytes.fromhex(one["bytes"])
            assert one["text"] is None or one["text"].encode() == raw


def test_packed_it_says_the_same(http: httpx.Client) -> None:
    """Rows, with each candidate spelt once, against the records that spell everything out."""
    asked = {"messages": [USER], "temperature": 0.9, "logit_bias": {"0": 4}}
    plain = tokens(talk(http, **asked))
    first, *events, end = talk(http, packed=True, **asked)
    assert (first["type"], end["type"]) == ("prompt", "end")
    spellings: dict[str, Any] = {}
    rows = []
    for one in events:
        assert one["type"] == "tokens"
        assert not spellings.keys() & one["spellings"].keys()  # each once
        spellings |= one["spellings"]
        rows += one["rows"]
    assert len(events) < len(rows) == len(plain)
    for row, token in zip(rows, plain, strict=True):
        numbers = [token["id"], token["bytes"], token["text"], int(token.get("special", False))]
        assert row[:7] == [*numbers, token["logprob"], token["entropy"], token["rank"]]
        raw = base64.b64decode(row[7])
        found = struct.unpack("<20i20f20f", raw)
        for one, i, probability, chance in zip(
            token["alternatives"], found[:20], found[20:40], found[40:], strict=True
        ):
            assert i == one["id"]
            assert spellings[str(i)] == [one["bytes"], one["text"], int(one.get("special", False))]
            assert probability == pytest.approx(one["probability"], rel=1e-6)
            assert chance == pytest.approx(one["chance"], rel=1e-6)


def test_numbers(http: httpx.Client, twin: LanguageModel) -> None:
    """Entropy, rank and chances against NumPy, from logits of a whole forward pass."""
    said = tokens(talk(http, messages=[USER], temperature=0.6, top_p=0.9))
    prompt = http.post("/api/prompt", json={"messages": [USER]}).json()
    ids = [token["id"] for token in prompt["tokens"]] + [token["id"] for token in said]
    logits = twin.logits(ids[:-1]).astype(np.float64)[prompt["count"] - 1 :]
    for token, row in zip(said, logits, strict=True):
        log_p = row - row.max() - np.log(np.exp(row - row.max()).sum())
        p = np.exp(log_p)
        assert abs(token["logprob"] - log_p[token["id"]]) < 1e-4
        assert abs(token["entropy"] + (p * log_p).sum()) < 1e-4
        assert token["rank"] == 1 + (log_p > log_p[token["id"]]).sum()
        warm = np.exp((row - row.max()) / 0.6)
        warm /= warm.sum()
        order = np.argsort(-warm)
        dropped = order[np.cumsum(warm[order]) - warm[order] >= 0.9]
        warm[dropped] = 0
        warm /= warm.sum()
        for one in token["alternatives"]:
            assert abs(one["probability"] - p[one["id"]]) < 1e-5
            assert abs(one["chance"] - warm[one["id"]]) < 1e-5


@pytest.mark.parametrize("cut", [1, 5, 12, 23])
def test_an_answer_goes_on_as_if_it_had_never_paused(http: httpx.Client, cut: int) -> None:
    """Seed and penalties count from the answer's beginning, wherever it is taken up."""
    whole = [token["id"] for token in tokens(talk(http, messages=[USER], **WARM))]
    rest = talk(http, messages=[USER], **WARM, prefix=whole[:cut], max_tokens=24 - cut)
    assert [token["id"] for token in tokens(rest)] == whole[cut:]
    assert rest[0]["prefix"] == cut


def test_a_prefix_may_end_within_a_character(http: httpx.Client, twin: LanguageModel) -> None:
    """Its bytes are completed by the first new token; here by one that a bias forces."""
    first, *others = twin.tokenizer.encode("霜")
    assert others, "the vocabulary splits it"
    said = tokens(talk(http, messages=[USER], prefix=[first], max_tokens=1, logit_bias={str(others[0]): 100}))
    assert said[0]["id"] == others[0]
    assert said[0]["text"] == ("霜" if len(others) == 1 else "")


def test_the_end_is_a_token_too(http: httpx.Client, twin: LanguageModel) -> None:
    end = twin.tokenizer.end_of_turn
    said = tokens(talk(http, messages=[USER], logit_bias={str(end): 100}))
    assert [(token["id"], token["text"], token["special"]) for token in said] == [(end, "", True)]


def test_raw_text(http: httpx.Client, twin: LanguageModel) -> None:
    first, *said, _ = talk(http, prompt="The cat", temperature=0)
    assert first["text"] == "The cat"
    assert "".join(token["text"] for token in said) == twin.generate("The cat", temperature=0, max_tokens=24).replace(
        "\ufffd", ""
    )


def test_old_turns_make_room(http: httpx.Client) -> None:
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"{i} " + "x " * 200} for i in range(9)]
    rules = {"role": "system", "content": "Be brief."}
    first = talk(http, messages=[rules, *turns])[0]
    assert 0 < first["dropped"] < len(turns)
    assert first["text"].startswith("<|endoftext|><|system|>Be brief.<|end|><|user|>")
    assert turns[-1]["content"] in first["text"]
    kept = len(turns) - first["dropped"]
    assert first["text"].count("<|user|>") + first["text"].count("<|assistant|>") == kept + 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": [{"role": "user", "content": "x " * 900}]}, "too many"),
        ({"prompt": "x " * 900}, "too many"),
        ({"prompt": "a", "prefix": [10**6]}, "is no token id"),
        ({"prompt": "a", "messages": [USER]}, "either"),
        ({}, "either"),
        ({"prompt": "a", "alternatives": 21}, "alternatives"),
        ({"prompt": "a", "model": "translator"}, "token by token"),
    ],
)
def test_what_cannot_be_asked(http: httpx.Client, fields: dict[str, Any], words: str) -> None:
    response = http.post("/api/talk", json=fields)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


def test_nobody_else_pays(twin: LanguageModel) -> None:
    """Entropy and rank are computed where alternatives are asked for, and nowhere else."""
    ids = twin.tokenizer.encode("The cat")
    for wanted in (0, 3):
        ((event,),) = twin.engine.generate([ids], Sampling(max_tokens=1, alternatives=wanted), stop_ids=())
        assert (event.entropy is None) == (event.rank is None) == (wanted == 0)


def test_the_app_is_told_what_there_is(http: httpx.Client) -> None:
    table = http.get("/api/app").json()
    assert [(model["name"], model["kind"], model["can_chat"]) for model in table["models"]] == [
        ("tiny", "decoder", True), ("translator", "encoder-decoder", False),
    ]  # fmt: skip
    assert table["models"][0]["stage"] == "sft"
    assert table["models"][0]["parameters"] > 1000
    assert table["history"] is False
    assert http.get("/api/chats").status_code == 503
