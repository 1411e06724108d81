"""Characters and stop strings that lie across tokens."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.server.blackbox.asking import COMPLETIONS, UNICODE, Live, answer, deltas, said, stream, tokens


def test_characters_are_never_split_in_a_stream(http: httpx.Client, live: Live) -> None:
    """The grammar lets the model say one thing, in Chinese and emoji, byte by byte if it likes."""
    assert len(tokens(http, live, UNICODE)) > len(set(UNICODE)) - 10
    schema = {"name": "poem", "schema": {"type": "string", "enum": [UNICODE]}}
    body = live.chat(
        seed=1, temperature=1, max_tokens=400, response_format={"type": "json_schema", "json_schema": schema}
    )
    chunks = stream(http, body)
    pieces = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert json.loads("".join(pieces)) == UNICODE
    assert not any("\ufffd" in piece for piece in pieces)
    assert sum(1 for piece in pieces if piece) > 5
    assert json.loads(said(http, body)) == UNICODE


@pytest.mark.parametrize("seed", range(6))
def test_any_bytes_stream_to_the_same_text(http: httpx.Client, live: Live, seed: int) -> None:
    body = live.chat(UNICODE, seed=seed, temperature=1.2, max_tokens=60)
    assert deltas(stream(http, body)) == said(http, body)


def test_a_talk_in_chinese(http: httpx.Client, live: Live) -> None:
    more = answer(http, live.greedy("疑是地上霜"))["usage"]["prompt_tokens"]
    less = answer(http, live.greedy("疑是"))["usage"]["prompt_tokens"]
    assert more - less == len(tokens(http, live, "疑是地上霜")) - len(tokens(http, live, "疑是"))


def plain_piece(text: str, length: int) -> str:
    """A piece of ``text`` of whole characters, as late as possible for the first time in it."""
    places = [i for i in range(1, len(text) - length) if "\ufffd" not in text[i : i + length]]
    place = max(places, key=lambda i: text.index(text[i : i + length]))
    return text[place : place + length]


@pytest.mark.parametrize("length", [1, 4, 9])
def test_a_stop_string_ends_the_answer_and_is_left_out(http: httpx.Client, live: Live, length: int) -> None:
    a, b = (str(tokens(http, live, text)[0]) for text in "ab")
    body = live.chat(seed=7, temperature=1, max_tokens=48, logit_bias={a: 60, b: 60})
    text = said(http, body)
    stop = text[20 : 20 + length]  # letters, each a token of its own
    cut = text[: text.index(stop)]
    for given in (stop, [stop], ["never said", stop]):
        found = answer(http, body | {"stop": given})
        assert found["choices"][0]["message"]["content"] == cut
        assert found["choices"][0]["finish_reason"] == "stop"
        chunks = stream(http, body | {"stop": given})
        assert deltas(chunks) == cut
        assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]][-1] == "stop"


def test_any_answer_can_be_stopped(http: httpx.Client, live: Live) -> None:
    body = live.text(max_tokens=60)
    text = said(http, body, COMPLETIONS)
    stop = plain_piece(text, 2)
    cut = text[: text.index(stop)]
    found = answer(http, body | {"stop": stop}, COMPLETIONS)["choices"][0]
    assert (found["text"], found["finish_reason"]) == (cut, "stop")
    assert deltas(stream(http, body | {"stop": stop}, COMPLETIONS)) == cut


def test_the_earliest_of_several_stops_counts(http: httpx.Client, live: Live) -> None:
    a, b = (str(tokens(http, live, text)[0]) for text in "ab")
    body = live.chat(seed=7, temperature=1, max_tokens=48, logit_bias={a: 60, b: 60})
    text = said(http, body)
    first = min(text.index("ab"), text.index("ba"))
    assert said(http, body | {"stop": ["ab", "ba"]}) == text[:first]


def test_a_stop_that_never_comes_holds_nothing_back(http: httpx.Client, live: Live) -> None:
    a = str(tokens(http, live, "a")[0])
    body = live.greedy(max_tokens=9, logit_bias={a: 100}, stop=["aaaaaaaaaaaaaaab", "aaaaaaaaaac"])
    assert said(http, body) == "a" * 9
    assert deltas(stream(http, body)) == "a" * 9


def test_a_stop_in_chinese(http: httpx.Client, live: Live) -> None:
    schema = {"name": "poem", "schema": {"type": "string", "enum": ["床前明月光"]}}
    body = live.chat(max_tokens=200, response_format={"type": "json_schema", "json_schema": schema}, stop="明月")
    assert said(http, body) == '"床前'
    assert deltas(stream(http, body)) == '"床前'
