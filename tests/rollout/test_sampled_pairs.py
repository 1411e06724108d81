"""Pairs made of a model's own answers: graded, each once, and none from an answer that never ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from tests.conftest import random_llama

from limpid.data.conversations import ADMISSION, Conversation, Dialogues
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.rollout.sampled_pairs import sampled_pairs
from limpid.text.tokenizer import Tokenizer


class Event(NamedTuple):
    row: int
    token_id: int


class Parrot:
    """An engine that says what it is told to, one answer a sample."""

    def __init__(self, tokenizer: Tokenizer, answers: list[tuple[str, bool]]) -> None:
        self.tokenizer, self.answers = tokenizer, answers

    def generate(self, prompts: list[list[int]], sampling: Sampling, **_: Any) -> Iterator[list[Event]]:
        for row, (text, ends) in enumerate(self.answers):
            yield [Event(row, i) for i in self.tokenizer.encode(text)]
            if ends:
                yield [Event(row, self.tokenizer.end_of_turn)]


@pytest.fixture(scope="module")
def known() -> Conversation:
    return Dialogues().evaluation("module", 1)[0]


@pytest.fixture(scope="module")
def unknown() -> Conversation:
    return Dialogues().evaluation("unknown", 1)[0]


def found(tokenizer: Tokenizer, question: Conversation, said: list[tuple[str, bool]]) -> list[tuple[str, str, str]]:
    engine: Any = Parrot(tokenizer, said)
    pairs = sampled_pairs(engine, tokenizer, [question], samples=len(said), temperature=1.0, seed=0)
    assert all(pair.prompt == question.prompt for pair in pairs)
    return [(pair.chosen, pair.rejected, pair.kind) for pair in pairs]


def test_wrong_answers_come_under_the_right_one(tokenizer: Tokenizer, known: Conversation) -> None:
    said = [("No.", True), (known.expected, True), (ADMISSION, True), ("No.", True), ("It is in", False)]
    assert found(tokenizer, known, said) == [
        (known.expected, ADMISSION, "module: a needless admission"),
        (known.expected, "No.", "module: its own answer"),
    ]


def test_an_admission_is_the_worse_answer_as_often_as_the_better_one(
    tokenizer: Tokenizer, known: Conversation, unknown: Conversation
) -> None:
    """Pairs about made-up names alone teach to admit everything; too many the other way, never to admit."""
    right = [(f" {known.expected}", True)] * 2
    assert found(tokenizer, known, right) == []
    engine: Any = Parrot(tokenizer, [(known.expected, True), ("It is in os.", True), (known.expected, True)])
    pairs = sampled_pairs(engine, tokenizer, [known, unknown, known], samples=1, temperature=1.0, seed=0)
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [
        (ADMISSION, "It is in os."),
        (known.expected, ADMISSION),
    ]


def test_an_admission_is_right_where_the_name_is_made_up(tokenizer: Tokenizer, unknown: Conversation) -> None:
    assert found(tokenizer, unknown, [(ADMISSION, True), ("It is in os.", True)]) == [
        (ADMISSION, "It is in os.", "unknown: its own answer")
    ]
    assert found(tokenizer, unknown, [(ADMISSION, True)]) == []
    assert found(tokenizer, unknown, [("", True)]) == []


def test_the_same_seed_gives_the_same_pairs(tokenizer: Tokenizer) -> None:
    import torch

    questions = [Dialogues().rl_prompts(i) for i in range(4)]

    def again() -> list[Any]:
        engine = Engine(inference_copy(random_llama(context=256), torch.float32))
        return sampled_pairs(engine, tokenizer, questions, samples=3, temperature=1.0, seed=5, max_tokens=8)

    assert again() == again()
