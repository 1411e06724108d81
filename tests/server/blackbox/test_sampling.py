from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.server.blackbox.asking import COMPLETIONS, Live, answer, said, stream, tokens


def letter(http: httpx.Client, live: Live, text: str) -> str:
    """The id, as a key of logit_bias, of a token that is ``text``."""
    (found,) = tokens(http, live, text)
    return str(found)


def test_a_seed_is_a_text(http: httpx.Client, live: Live) -> None:
    texts = [said(http, live.chat(seed=seed, temperature=1)) for seed in (1, 1, 2, 3, 4)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 4


def test_no_seed_is_another_text_each_time(http: httpx.Client, live: Live) -> None:
    assert len({said(http, live.chat(temperature=1)) for _ in range(4)}) == 4


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}])
def test_filters_that_leave_one_token_are_greedy(http: httpx.Client, live: Live, fields: dict[str, Any]) -> None:
    greedy = said(http, live.greedy())
    assert said(http, live.chat(temperature=1, seed=1)) != greedy
    assert said(http, live.chat(temperature=1, seed=1, **fields)) == greedy


def test_a_bias_of_100_is_an_order(http: httpx.Client, live: Live) -> None:
    a, b = letter(http, live, "a"), letter(http, live, "b")
    assert said(http, live.greedy(max_tokens=8, logit_bias={a: 100})) == "a" * 8
    assert said(http, live.chat(temperature=1, max_tokens=8, logit_bias={b: 100})) == "b" * 8
    assert said(http, live.text(max_tokens=8, logit_bias={b: 100}), COMPLETIONS) == "b" * 8


def test_a_bias_of_minus_100_is_a_ban(http: httpx.Client, live: Live) -> None:
    a, b = letter(http, live, "a"), letter(http, live, "b")
    both = {a: 60, b: 40}
    assert said(http, live.greedy(max_tokens=8, logit_bias=both)) == "a" * 8
    assert said(http, live.greedy(max_tokens=8, logit_bias=both | {a: -100})) == "b" * 8
    first = answer(http, live.text(max_tokens=1, logprobs=1), COMPLETIONS)["choices"][0]["logprobs"]["tokens"][0]
    spelled = tokens(http, live, first)
    if len(spelled) == 1:
        banned = said(http, live.text(max_tokens=1, logit_bias={str(spelled[0]): -100}), COMPLETIONS)
        assert banned != first


def test_penalties_count(http: httpx.Client, live: Live) -> None:
    """a has 10 more than b at the start. A frequency penalty of 2 wears that down, a presence penalty of 2 cannot."""
    a, b = letter(http, live, "a"), letter(http, live, "b")
    body = live.text("", max_tokens=40, logit_bias={a: 100, b: 85}) | {"prompt": "12"}
    assert said(http, body, COMPLETIONS) == "a" * 40
    assert said(http, body | {"presence_penalty": 2}, COMPLETIONS) == "a" * 40
    worn = said(http, body | {"frequency_penalty": 2}, COMPLETIONS)
    assert set(worn) == {"a", "b"}
    assert worn.startswith("a")
    assert worn.count("a") > worn.count("b")


def test_repetition_is_penalised(http: httpx.Client, live: Live) -> None:
    texts = {said(http, live.greedy(max_tokens=64, repetition_penalty=penalty)) for penalty in (1, 1.5)}
    assert len(texts) == 2


@pytest.mark.parametrize("count", [0, 5, 20])
@pytest.mark.parametrize("streamed", [False, True])
def test_log_probabilities(http: httpx.Client, live: Live, count: int, streamed: bool) -> None:
    body = live.greedy(logprobs=True, top_logprobs=count)
    whole = answer(http, body)
    content = whole["choices"][0]["logprobs"]["content"]
    if streamed:
        chunks = [choice for chunk in stream(http, body) for choice in chunk["choices"]]
        pieces = [piece for choice in chunks for piece in (choice.get("logprobs") or {}).get("content") or []]
        assert pieces == content
    text = whole["choices"][0]["message"]["content"]
    assert b"".join(bytes(piece["bytes"]) for piece in content).decode("utf-8", "replace") == text
    assert len(content) == whole["usage"]["completion_tokens"]
    for piece in content:
        assert piece["logprob"] <= 0
        assert len(piece["top_logprobs"]) == count
        if count:
            best = piece["top_logprobs"][0]
            assert (best["bytes"], best["logprob"]) == (piece["bytes"], pytest.approx(piece["logprob"], abs=1e-5))
            ranked = [top["logprob"] for top in piece["top_logprobs"]]
            assert ranked == sorted(ranked, reverse=True)
            assert sum(2.718281828459045**value for value in ranked) <= 1.0001


def test_tokens_of_log_probabilities_join_to_the_text(http: httpx.Client, live: Live) -> None:
    a, b = letter(http, live, "a"), letter(http, live, "b")
    found = answer(http, live.chat(temperature=1, seed=1, logprobs=True, logit_bias={a: 50, b: 50}))["choices"][0]
    joined = "".join(piece["token"] for piece in found["logprobs"]["content"])
    assert joined == found["message"]["content"]
    assert set(joined) <= {"a", "b"}


def test_log_probabilities_are_the_models_own(http: httpx.Client, live: Live) -> None:
    """Temperature and seed draw other tokens, but what the model thought of the first place stays the same."""
    asked = [live.chat(temperature=t, seed=s, logprobs=True, top_logprobs=5) for t, s in ((0, 1), (0.7, 2), (1.5, 3))]
    first = [answer(http, body)["choices"][0]["logprobs"]["content"][0] for body in asked]
    tops = [[(top["token"], round(top["logprob"], 4)) for top in piece["top_logprobs"]] for piece in first]
    assert tops[0] == tops[1] == tops[2]


def test_a_plain_answer_has_no_log_probabilities(http: httpx.Client, live: Live) -> None:
    assert answer(http, live.greedy())["choices"][0].get("logprobs") is None
