from __future__ import annotations

import itertools
from typing import Any

import httpx
import openai
import pytest
from tests.server.blackbox.asking import COMPLETIONS, UNICODE, Live, answer, deltas, refused, said, stream, tokens


def test_a_text_is_continued(ai: openai.OpenAI, live: Live) -> None:
    found = ai.completions.create(**live.text())
    assert found.object == "text_completion"
    (choice,) = found.choices
    assert choice.index == 0
    assert choice.text
    assert not choice.text.startswith("The cat sat")
    assert choice.finish_reason in ("stop", "length")
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


def test_token_ids_are_their_text(http: httpx.Client, live: Live) -> None:
    ids = tokens(http, live, "The cat sat")
    whole, by_id = answer(http, live.text(), COMPLETIONS), answer(http, live.text(ids), COMPLETIONS)
    assert by_id["choices"] == whole["choices"]
    assert by_id["usage"] == whole["usage"]


def test_a_list_of_texts(http: httpx.Client, live: Live) -> None:
    prompts = ["The cat sat", "床前明月", "12 + 30"]
    found = answer(http, live.text(prompts), COMPLETIONS)
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2]
    texts = [choice["text"] for choice in found["choices"]]
    assert texts == [said(http, live.text(prompt), COMPLETIONS) for prompt in prompts]
    ids = [tokens(http, live, prompt) for prompt in prompts]
    assert [choice["text"] for choice in answer(http, live.text(ids), COMPLETIONS)["choices"]] == texts
    each = [answer(http, live.text(prompt), COMPLETIONS)["usage"] for prompt in prompts]
    assert found["usage"]["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in each)
    assert found["usage"]["completion_tokens"] == sum(usage["completion_tokens"] for usage in each)
    assert [deltas(stream(http, live.text(prompts), COMPLETIONS), i) for i in range(3)] == texts


def test_several_answers_to_each_of_several_texts(http: httpx.Client, live: Live) -> None:
    found = answer(http, live.text(["The cat", "The dog"], n=2, temperature=1, seed=1), COMPLETIONS)
    assert [choice["index"] for choice in found["choices"]] == [0, 1, 2, 3]
    assert len({choice["text"] for choice in found["choices"]}) == 4


@pytest.mark.parametrize("prompt", ["The cat sat", UNICODE])
def test_echo(http: httpx.Client, live: Live, prompt: str) -> None:
    continued = said(http, live.text(prompt), COMPLETIONS)
    assert said(http, live.text(prompt, echo=True), COMPLETIONS) == prompt + continued
    assert deltas(stream(http, live.text(prompt, echo=True), COMPLETIONS)) == prompt + continued


def test_a_stream_is_the_answer_in_pieces(http: httpx.Client, live: Live) -> None:
    whole = answer(http, live.text(), COMPLETIONS)
    chunks = stream(http, live.text(stream_options={"include_usage": True}), COMPLETIONS)
    assert deltas(chunks) == whole["choices"][0]["text"]
    assert len({(chunk["id"], chunk["created"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "text_completion"
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == [whole["choices"][0]["finish_reason"]]
    assert chunks[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_log_probabilities(http: httpx.Client, live: Live, count: int) -> None:
    found = answer(http, live.text(logprobs=count, max_tokens=8), COMPLETIONS)
    lists: dict[str, Any] = found["choices"][0]["logprobs"]
    size = found["usage"]["completion_tokens"]
    assert len(lists["tokens"]) == len(lists["token_logprobs"]) == len(lists["text_offset"]) == size
    assert all(value <= 0 for value in lists["token_logprobs"])
    assert lists["text_offset"] == sorted(lists["text_offset"])
    if count:
        for token, logprob, top in zip(lists["tokens"], lists["token_logprobs"], lists["top_logprobs"], strict=True):
            assert 1 <= len(top) <= count + 1
            assert max(top.values()) == pytest.approx(logprob, abs=1e-5), f"greedy took {token!r}"


def test_log_probabilities_of_the_prompt(http: httpx.Client, live: Live) -> None:
    """As evaluation harnesses ask for them: echo, with the first token's unknown."""
    prompt = "The cat sat on the mat."
    ids = tokens(http, live, prompt)
    found = answer(http, live.text(prompt, echo=True, logprobs=1, max_tokens=1), COMPLETIONS)["choices"][0]
    lists = found["logprobs"]
    assert "".join(lists["tokens"][: len(ids)]) == prompt
    assert len(lists["tokens"]) == len(ids) + 1
    assert lists["token_logprobs"][0] is None
    assert all(value < 0 for value in lists["token_logprobs"][1:])
    starts = [0, *itertools.accumulate(len(token) for token in lists["tokens"][: len(ids)])]
    assert lists["text_offset"] == starts
    for place in (3, len(ids) - 1):  # each is what a prompt that ends there would have given
        asked = live.text(ids[:place], logprobs=1, max_tokens=1, logit_bias={str(ids[place]): 100})
        alone = answer(http, asked, COMPLETIONS)["choices"][0]
        assert alone["logprobs"]["tokens"][0] == lists["tokens"][place]


@pytest.mark.parametrize("prompt", [[], "", [""], [[]], [1.5], [-1], [10**9], {"a": 1}, 7, [["a"]], ["a", 1]])
def test_prompts_that_are_none(http: httpx.Client, live: Live, prompt: object) -> None:
    response = http.post(COMPLETIONS, json=live.text(prompt))
    if prompt in ("", [""]) and response.status_code == 200:
        return  # an unconditional sample, where the model has a token to begin with
    refused(response, 400, param="prompt")
