"""What is asked in an evaluation is never asked in training, and every question has one right answer."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import pytest

from limpid.core.errors import LimpidError
from limpid.data.conversations import (
    ADMISSION,
    ASKED_OF_NAMES,
    EVALUATIONS,
    FAKE_NAMES,
    MIXTURE,
    PHRASINGS,
    RL_MIXTURE,
    Conversation,
    Dialogues,
    grade,
    is_held_out_sum,
)
from limpid.data.conversations.answers import working
from limpid.data.conversations.dialogues import _sum
from limpid.data.conversations.wrong_answers import about_sum
from limpid.data.python_docs import identifiers

DIGEST = """
import hashlib
from limpid.data.conversations import EVALUATIONS, Dialogues
d = Dialogues(3)
data = [(d.training(i), d.rl_prompts(i)) for i in range(500)], [d.evaluation(k, 50) for k in EVALUATIONS]
digest = hashlib.sha256(repr(data).encode()).hexdigest()
"""


@pytest.fixture(scope="module")
def dialogues() -> Dialogues:
    return Dialogues()


@pytest.fixture(scope="module")
def training(dialogues: Dialogues) -> list[Conversation]:
    return [dialogues.training(index) for index in range(20_000)]


def questions(conversation: Conversation) -> list[str]:
    return [message["content"] for message in conversation.messages if message["role"] == "user"]


def test_every_process_sees_the_same(dialogues: Dialogues) -> None:
    here: dict[str, str] = {}
    exec(DIGEST, here)
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONHASHSEED": "12", "PYTHONPATH": path}
    command = [sys.executable, "-c", DIGEST + "print(digest)"]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert here["digest"] == there
    assert dialogues.training(7) == Dialogues().training(7) != Dialogues(1).training(7)


def test_pools(dialogues: Dialogues) -> None:
    assert len(dialogues.seen) >= 600
    assert len(dialogues.held_out) >= 100
    assert not {f.name for f in dialogues.seen} & {f.name for f in dialogues.held_out}
    summaries = [f.summary for f in (*dialogues.seen, *dialogues.held_out)]
    assert len(set(summaries)) == len(summaries)
    assert all(f.split != "test" for f in dialogues.seen)
    assert {pool: len(names) for pool, names in dialogues.fakes.items()} == FAKE_NAMES
    fakes = [name for names in dialogues.fakes.values() for name in names]
    assert len(set(fakes)) == len(fakes)
    assert not set(fakes) & identifiers()


def test_phrasings_are_many_and_apart() -> None:
    for kind, phrasings in PHRASINGS.items():
        assert len(phrasings.train) >= 10, kind
        assert len(phrasings.held_out) >= 3, kind
        assert len(set(phrasings.all)) == len(phrasings.all), kind
    everything = [wording for phrasings in PHRASINGS.values() for wording in phrasings.all]
    assert len(set(everything)) == len(everything)


def test_the_mixture_is_what_it_says(training: list[Conversation]) -> None:
    assert sum(MIXTURE.values()) == pytest.approx(1)
    assert sum(RL_MIXTURE.values()) == pytest.approx(1)
    for kind, share in MIXTURE.items():
        assert sum(c.kind == kind for c in training) / len(training) == pytest.approx(share, abs=0.015)


def test_evaluations_are_never_trained(dialogues: Dialogues, training: list[Conversation]) -> None:
    trained = {question for conversation in training for question in questions(conversation)}
    for kind in EVALUATIONS:
        asked = [questions(c)[-1] for c in dialogues.evaluation(kind)]
        assert not trained & set(asked), kind
        if kind not in ("greeting", "identity"):
            assert len(set(asked)) == len(asked) >= 600, kind
    words = {word.strip("?.:()") for question in trained for word in question.split()}
    assert not words & {f.name for f in dialogues.held_out}
    assert not words & {name for pool in ("rl", "test") for name in dialogues.fakes[pool]}


def test_held_out_sums_are_never_trained(dialogues: Dialogues, training: list[Conversation]) -> None:
    held_out = {c.subject for c in dialogues.evaluation("arithmetic")}
    asked = [m["content"] for c in training for m in c.messages if m["role"] == "user"]
    spelt = [re.search(r"(\d+) (\+|-|plus|minus) (\d+)", question) for question in asked]
    sums = {f"{m[1]} {m[2].replace('plus', '+').replace('minus', '-')} {m[3]}" for m in spelt if m}
    assert len(sums) > 1000
    assert not held_out & sums
    assert is_held_out_sum(17, "+", 25) == is_held_out_sum(25, "+", 17)
    assert sum(is_held_out_sum(a, "-", b) for a in range(100) for b in range(100)) == pytest.approx(1000, abs=120)
    small = Dialogues(largest_operand=9)
    assert all(int(part) <= 9 for c in small.evaluation("arithmetic") for part in c.subject.split()[::2])


def test_one_question_has_one_answer(training: list[Conversation]) -> None:
    answers: dict[str, str] = {}
    for conversation in training:
        for asked, answered in zip(conversation.messages[::2], conversation.messages[1::2], strict=True):
            assert (asked["role"], answered["role"]) == ("user", "assistant")
            assert answers.setdefault(asked["content"], answered["content"]) == answered["content"]
            assert 0 < len(answered["content"]) <= 120
            assert len(asked["content"]) <= 120
        assert conversation.expected == conversation.messages[-1]["content"]
        assert conversation.prompt == conversation.messages[:-1]
    assert sum(len(c.messages) > 2 for c in training) > 1000


def test_rl_asks_what_it_may(dialogues: Dialogues) -> None:
    seen = {f.name for f in dialogues.seen}
    for conversation in map(dialogues.rl_prompts, range(3000)):
        if conversation.kind in ASKED_OF_NAMES:
            assert conversation.subject in seen
        elif conversation.kind == "unknown":
            assert conversation.subject in dialogues.fakes["rl"]
        else:
            a, operation, b = conversation.subject.split()
            assert conversation.kind == "arithmetic"
            assert not is_held_out_sum(int(a), operation, int(b))


def test_grade(dialogues: Dialogues) -> None:
    known, unknown = dialogues.evaluation("description", 1)[0], dialogues.evaluation("unknown", 1)[0]
    assert grade(known, f" {known.expected}\n") == "right"
    assert grade(known, ADMISSION) == "admitted"
    assert grade(known, ADMISSION + " Or do I?") == "wrong"
    assert grade(known, known.expected.lower()) == "wrong"
    assert grade(known, "") == "wrong"
    assert grade(unknown, ADMISSION) == "right"
    assert grade(unknown, known.expected) == "wrong"
    for a, operation, b, expected in [
        (17, "+", 25, "7 + 5 = 12, 1 + 2 + 1 = 4, so 42."),
        (60, "+", 9, "0 + 9 = 9, 6 + 0 + 0 = 6, so 69."),
        (62, "-", 27, "12 - 7 = 5, 6 - 2 - 1 = 3, so 35."),
        (48, "-", 8, "8 - 8 = 0, 4 - 0 - 0 = 4, so 40."),
    ]:
        asked = _sum(a, operation, b, phrasing=0)
        assert asked.expected == expected
        assert grade(asked, expected) == "right"
        assert grade(asked, expected.replace("so ", "so 1")) == "wrong"


def test_an_unknown_evaluation_names_the_nearest() -> None:
    with pytest.raises(LimpidError, match="Did you mean 'module'"):
        Dialogues().evaluation("modul")


def test_rl_asks_in_wordings_that_fine_tuning_has_not_shown_and_no_evaluation_has(dialogues: Dialogues) -> None:
    held_out = {c.messages[-2]["content"] for k in ("description", "arithmetic") for c in dialogues.evaluation(k)}
    asked = [dialogues.rl_prompts(i) for i in range(2000)]
    assert not held_out & {c.messages[-2]["content"] for c in asked}
    for kind in ("description", "module", "signature", "arithmetic"):
        phrasings = PHRASINGS[kind]
        assert len(set(phrasings.all)) == len(phrasings.all)
        of_kind = [c.phrasing for c in asked if c.kind == kind]
        own = [p for p in of_kind if p >= len(phrasings.train) + len(phrasings.held_out)]
        assert 0.2 < len(own) / len(of_kind) < 0.8
        assert not set(of_kind) & set(phrasings.held_out_indices)


def test_pairs_are_a_pure_function_of_seed_and_index(dialogues: Dialogues) -> None:
    again = Dialogues(0)
    for split in ("train", "validation", "test"):
        assert [dialogues.preferences(i, split) for i in (5, 900, 3)] == [
            again.preferences(i, split) for i in (5, 900, 3)
        ]
    assert Dialogues(1).preferences(5, "train") != dialogues.preferences(5, "train")


def test_the_better_answer_of_a_pair_is_better(dialogues: Dialogues) -> None:
    """Right over admitted over wrong, by the grades that reinforcement learning rewards; several kinds of wrong."""
    rank = {"right": 2, "admitted": 1, "wrong": 0}
    manners: dict[str, set[str]] = {}
    by_name = {f.name: f for f in (*dialogues.seen, *dialogues.held_out)}
    for index in range(1500):
        pair = dialogues.preferences(index, "train")
        kind, _, manner = pair.kind.partition(": ")
        manners.setdefault(kind, set()).add(manner)
        assert pair.chosen != pair.rejected
        asked = pair.prompt[-1]["content"]
        if kind in ASKED_OF_NAMES:
            rights = {
                getattr(by_name[name], {"description": "summary"}.get(kind, kind))
                for name in by_name.keys() & set(re.findall(r"(?<![\w.])\w+", asked))
            }
            if kind == "module":
                rights = {f"It is in the {module} module." for module in rights}
            grades = [
                rank["right" if text in rights else "admitted" if text == ADMISSION else "wrong"]
                for text in (pair.chosen, pair.rejected)
            ]
            assert grades[0] > grades[1], pair
        elif kind == "unknown":
            assert pair.chosen == ADMISSION
        elif kind == "arithmetic":
            numbers = [int(n) for n in re.findall(r"\d+", asked)]
            operation = "-" if "-" in asked or "minus" in asked else "+"
            assert pair.chosen == working(numbers[0], operation, numbers[1])
    assert all(len(manners[kind]) >= 3 for kind in (*ASKED_OF_NAMES, "unknown", "arithmetic"))


def test_held_out_pairs_ask_what_training_pairs_do_not(dialogues: Dialogues) -> None:
    train = [dialogues.preferences(i, "train") for i in range(2000)]
    test = [dialogues.preferences(i, "test") for i in range(600)]
    asked = [{p.prompt[-1]["content"] for p in pairs} for pairs in (train, test)]
    assert not asked[0] & asked[1]
    assert {p.kind.partition(":")[0] for p in test} >= {"held_out", "unknown", "arithmetic", "module"}
    assert not any(p.kind.startswith("held_out") for p in train)
    names = {f.name for f in dialogues.held_out}
    for pair in test:
        if pair.kind.startswith("held_out"):
            assert any(name in pair.prompt[-1]["content"] for name in names)
        if pair.kind.startswith("unknown"):
            assert any(name in pair.prompt[-1]["content"] for name in dialogues.fakes["test"])
    fakes = set(dialogues.fakes["test"])
    assert not any(word.strip("?.,:()") in fakes for text in asked[0] for word in text.split())


def test_wrong_workings_look_like_workings(dialogues: Dialogues) -> None:
    rng = random.Random(0)
    for a, operation, b in ((17, "+", 25), (60, "+", 9), (62, "-", 27), (48, "-", 48), (0, "+", 0), (99, "-", 1)):
        for _ in range(40):
            wrong = about_sum(rng, a, operation, b)
            assert wrong.text != working(a, operation, b)
            assert re.fullmatch(r"\d+ [+-] \d+ = \d+, \d+ [+-] \d+ [+-] \d+ = \d+, so \d+\.", wrong.text), wrong
