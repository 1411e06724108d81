from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from limpid.inference.translator import Translator
from limpid.stages.seq2seq import load_translator

LINES = ["The cat sat.", "A dog on the mat", "", "床前"]


@pytest.fixture(scope="module")
def twin(translator_run: Path) -> Translator:
    return load_translator(translator_run, device="cpu", dtype="float32")


def ask(http: httpx.Client, prompt: Any, path: str = "/v1/completions", **fields: Any) -> Any:
    key = "prompt" if path == "/v1/completions" else "messages"
    response = http.post(path, json={"model": "translator", key: prompt, "max_tokens": 9} | fields)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("fields", [{}, {"beam": 1}, {"beam": 3, "length_penalty": 0}])
def test_a_completion_is_the_translation(http: httpx.Client, twin: Translator, fields: dict[str, Any]) -> None:
    search = {"beam": 5, "length_penalty": 1.0} | fields
    found = ask(http, [line for line in LINES if line], **fields)
    wanted = [twin.translate([line], max_tokens=9, **search)[0] for line in LINES if line]  # type: ignore[arg-type]
    assert [choice["text"] for choice in found["choices"]] == [translated.text for translated in wanted]
    for choice, translated in zip(found["choices"], wanted, strict=True):
        assert choice["finish_reason"] == ("stop" if translated.tokens[-1][0] == twin.end else "length")
    assert found["usage"]["completion_tokens"] == sum(len(translated.tokens) for translated in wanted)
    assert found["usage"]["prompt_tokens"] == sum(len(twin.tokenizer.encode(line)) + 1 for line in LINES if line)


def test_the_last_message_is_translated(http: httpx.Client, twin: Translator) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "no"},
        {"role": "user", "content": LINES[0]},
    ]
    found = ask(http, turns, "/v1/chat/completions", logprobs=True)["choices"][0]
    (wanted,) = twin.translate([LINES[0]], max_tokens=9)
    assert found["message"]["content"] == wanted.text
    values = [token["logprob"] for token in found["logprobs"]["content"]]
    assert values == pytest.approx([v for i, v in wanted.tokens if i != twin.end], abs=1e-5)


def test_lines_are_sentences_and_streamed_as_they_are_done(http: httpx.Client, twin: Translator) -> None:
    text = "\n".join(LINES)
    body = {"model": "translator", "prompt": text, "max_tokens": 48, "stream": True, "beam": 2}
    with http.stream("POST", "/v1/completions", json=body) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line and not line.endswith("[DONE]")]
    pieces = [event["choices"][0]["text"] for event in events if event["choices"][0]["text"]]
    whole = ask(http, text, max_tokens=48, beam=2)
    assert "".join(pieces) == whole["choices"][0]["text"]
    first = twin.translate([LINES[0]], beam=2, max_tokens=48)[0]
    assert pieces[0].startswith(first.text.split("\ufffd")[0])
    assert len(pieces) > 1 or len(first.tokens) == 48


def test_stop_strings_end_a_translation(http: httpx.Client) -> None:
    text = ask(http, LINES[1])["choices"][0]["text"]
    stop = text[len(text) // 2]
    found = ask(http, LINES[1], stop=stop)["choices"][0]
    assert (found["text"], found["finish_reason"]) == (text[: text.index(stop)], "stop")


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/completions", {"n": 2}, "n"),
        ("/v1/completions", {"best_of": 2}, "best_of"),
        ("/v1/completions", {"logprobs": 2}, "logprobs"),
        ("/v1/completions", {"max_tokens": 49}, "max_tokens"),
        ("/v1/completions", {"prompt": "cat " * 60}, "prompt"),
        ("/v1/completions", {"echo": True, "logprobs": 0}, "echo"),
        ("/v1/chat/completions", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ("/v1/chat/completions", {"response_format": {"type": "json_object"}}, "response_format"),
        ("/v1/chat/completions", {"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ],
)
def test_what_a_search_cannot_do_is_refused(http: httpx.Client, path: str, fields: dict[str, Any], param: str) -> None:
    body = {"model": "translator", "prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
    response = http.post(path, json=body | fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_its_embeddings_are_the_encoders(http: httpx.Client, twin: Translator) -> None:
    response = http.post("/v1/embeddings", json={"model": "translator", "input": "The cat"})
    assert len(response.json()["data"][0]["embedding"]) == twin.model.config.d_model
