"""Rollouts: what is rewarded is what was drawn, token for token, the end of the turn included."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import random_llama

from limpid.data.conversations import Conversation
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.rollout.rollouts import RolloutPlan, Rollouts
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer


def question(text: str, expected: str) -> Conversation:
    turns = ({"role": "user", "content": text}, {"role": "assistant", "content": expected})
    return Conversation("module", turns, text, 0, expected)


def rollouts(tokenizer: Tokenizer, expected: str = "yes", **changes: float) -> Rollouts:
    engine = Engine(inference_copy(random_llama(seed=3), torch.float32))
    plan = RolloutPlan(
        prompts=2, samples=4, demonstrations=2, imitation=0.5, temperature=1.0, max_tokens=6, seed=0
    )._replace(**changes)  # type: ignore[arg-type]
    return Rollouts(
        lambda i: question(f"q{i}", expected), lambda i: question(f"d{i}", "I know"), lambda: engine, tokenizer, plan, 4
    )


def test_a_row_is_the_prompt_and_the_drawn_tokens_and_only_the_answer_is_weighted(tokenizer, monkeypatch):
    source = rollouts(tokenizer)
    given = iter(["right", "wrong"] * 4)
    monkeypatch.setattr(source, "_grade", lambda *_: next(given))
    batch = source[0]
    assert batch.inputs.shape == (12, 32)  # 8 answers and 2 demonstrations, in fours; lengths in thirty-twos
    asked = prompt(tokenizer, question("q1", "yes").prompt)
    row = 1 * 4 + 2
    spoken = batch.weights[row].nonzero().squeeze(1)
    assert batch.inputs[row, : len(asked)].tolist() == asked
    assert spoken[0] == len(asked) - 1  # the first answer token is predicted from the last token of the prompt
    assert spoken.tolist() == list(range(int(spoken[0]), int(spoken[-1]) + 1))
    assert torch.equal(batch.inputs[row, len(asked) : int(spoken[-1]) + 1], batch.targets[row, spoken[:-1]])
    assert batch.weights[10:].sum() == 0  # rows that only fill up


def test_the_end_of_the_turn_is_learnt_where_it_was_said(tokenizer):
    batch = rollouts(tokenizer)[0]
    for row in (0, 1):  # the demonstrations, which always end: no answer of this model is right
        spoken = batch.weights[row].nonzero().squeeze(1)
        assert batch.targets[row, spoken[-1]] == tokenizer.end_of_turn
        assert batch.advantages is not None
        assert torch.all(batch.advantages[row, spoken] == 0.5)


def test_an_advantage_is_the_reward_less_the_mean_of_its_group(tokenizer, monkeypatch):
    source = rollouts(tokenizer)
    given = iter(["right", "wrong", "wrong", "admitted", "wrong", "wrong", "wrong", "wrong"])
    monkeypatch.setattr(source, "_grade", lambda *_: next(given))
    batch = source[0]
    assert batch.advantages is not None
    gains = [float(batch.advantages[row][batch.weights[row] > 0][0]) for row in range(6)]
    assert gains == pytest.approx([1.25, -0.75, -0.75, 0.25, 0.5, 0.5])  # the second group taught nothing: left out
    assert source.measured["reward"] == pytest.approx((1 - 1 - 1 + 0 - 4) / 8)
    assert source.measured["sampled_wrong"] == pytest.approx(6 / 8)
    assert source.measured["informative_groups"] == 0.5


def test_a_step_in_which_nothing_can_be_learnt_still_has_rows(tokenizer, monkeypatch):
    source = rollouts(tokenizer, demonstrations=0)
    monkeypatch.setattr(source, "_grade", lambda *_: "wrong")
    batch = source[0]
    assert batch.advantages is not None
    assert batch.total_weight > 0
    assert not batch.advantages.any()


def test_an_answer_that_never_ends_is_wrong_whatever_it_says(tokenizer):
    source = rollouts(tokenizer, expected="yes")
    ended = [*tokenizer.encode("yes"), tokenizer.end_of_turn]
    assert source._grade(question("q", "yes"), ended) == "right"
    assert source._grade(question("q", "yes"), ended[:-1]) == "wrong"


def test_a_step_is_a_pure_function_of_seed_and_number(tokenizer):
    first, again = rollouts(tokenizer, demonstrations=0)[3], rollouts(tokenizer, demonstrations=0)[3]
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, rollouts(tokenizer, demonstrations=0)[4].inputs)
    assert not torch.equal(first.inputs, rollouts(tokenizer, demonstrations=0, seed=1)[3].inputs)
