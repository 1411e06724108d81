"""Rewards: limpid's own, the user's with all that can go wrong in them, several at once, and a reward model."""

from __future__ import annotations

import logging
import math
import os
import signal
from pathlib import Path

import pytest

from limpid.core.errors import LimpidError
from limpid.data.conversations import ADMISSION
from limpid.rollout.rewards.own import arithmetic, exact_match, final_number, length, matches, number_of, python_docs
from limpid.rollout.rewards.panel import Answered, Panel, RewardSection
from limpid.rollout.rewards.user import UserFunction

KNOWN, UNKNOWN = {"expected": "It is in the os module."}, {"expected": ADMISSION}


def asked(text: str, question: str = "2 + 3", finished: bool = True, **row: object) -> Answered:
    return Answered(({"role": "user", "content": question},), row, text, finished)


@pytest.mark.parametrize(
    ("row", "answer", "options", "reward"),
    [
        (KNOWN, " It is in the os module.\n", {}, 1.0),
        (KNOWN, ADMISSION, {}, 0.0),
        (KNOWN, "It is in the re module.", {}, -1.0),
        (KNOWN, "It is in the re module.", {"invented": -2.0}, -1.0),
        (UNKNOWN, ADMISSION, {}, 1.0),
        (UNKNOWN, "It is in the re module.", {"invented": -2.0}, -2.0),
        (UNKNOWN, "", {}, -1.0),
    ],
)
def test_python_docs(row, answer, options, reward):
    assert python_docs("?", answer, row, **options) == reward


def test_the_other_functions():
    assert exact_match("", " 42\n", {"expected": "42"}) == 1.0
    assert exact_match("", "42", {"label": 42}, field="label") == 1.0
    assert exact_match("", "", {"expected": "42"}) == 0.0
    assert arithmetic("What is 17 + 25?", "so 42.", {}) == 1.0
    assert arithmetic("17 - 25", "-8", {}) == 1.0
    assert arithmetic("17 + 25", "", {}) == 0.0
    with pytest.raises(ValueError, match="no sum"):
        arithmetic("hello", "42", {})
    assert matches("", "<a>\nx</a>", {}, pattern="<a>.*</a>") == 1.0
    assert matches("", "x <a></a>", {}, pattern="<a>.*</a>") == 0.0
    assert [length("", "w " * n, {}, words=4) for n in (0, 4, 6, 8, 20)] == [1.0, 1.0, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Janet makes 9 * 2 = $<<9*2=18>>18 every day.\n#### 18", 18.0),
        ("#### 1,234", 1234.0),
        ("-3.5 and so on", -3.5),
        ("the answer is 7.", 7.0),
        ("none", None),
        ("", None),
    ],
)
def test_the_final_number_of_gsm8k(text, number):
    assert number_of(text) == number
    if number is not None:
        assert final_number("", text, {"expected": f"... #### {number}"}) == 1.0
        assert final_number("", text + " or 99999", {"expected": str(number)}) == 0.0


USER = """
import os, sys, time
print("a line that is no answer")
def score(prompt, answer, row, *, scale=1.0):
    print("debugging", answer)
    if answer == "hang":
        time.sleep(60)
    if answer == "die":
        os._exit(3)
    if answer == "raise":
        return 1 / 0
    if answer == "nan":
        return float("nan")
    if answer == "inf":
        return float("inf")
    if answer == "text":
        return "many"
    if answer == "none":
        return None
    return scale * len(answer) + row["bonus"]
def broken(prompt, answer, row):
    raise RuntimeError("nothing works")
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(USER)
    return path


def test_whatever_a_users_function_does_is_reported_and_never_taken_for_a_reward(user_file, caplog):
    section = RewardSection(
        function=f"{user_file}:score", weight=0.5, options={"scale": 2.0}, timeout_seconds=1.0, workers=2
    )
    panel = Panel([section], "judged")
    try:
        said = ["four", "hang", "raise", "nan", "inf", "die", "text", "none", ""]
        with caplog.at_level(logging.WARNING, logger="limpid"):
            found = panel([asked(text, bonus=1.0) for text in said])
        assert [j.reward for j in found[:1]] == [0.5 * 9.0]
        assert all(math.isnan(j.reward) for j in found[1:-1])
        assert found[-1].reward == 0.5  # an empty answer is an answer
        assert panel.failures == {f"{user_file}:score": 7}
        assert "failed on 7 of 9 answers (no answer within 1 s)" in caplog.text
        again = panel([asked("four", bonus=1.0), asked("raise", bonus=1.0)])  # the processes that were lost are back
        assert again[0].reward == 4.5
        assert "ZeroDivisionError: division by zero" in caplog.text
        assert panel.failures == {f"{user_file}:score": 1}
    finally:
        panel.close()


def test_ctrl_c_is_not_for_the_users_function(user_file):
    function = UserFunction(f"{user_file}:score", {}, timeout_seconds=20.0)
    try:
        process = function._free.get()
        os.kill(process._process.pid, signal.SIGINT)  # a terminal sends it to every process of the run
        function._free.put(process)
        assert function([asked("four", bonus=1.0)]) == [5.0]
        assert function._free.get() is process
    finally:
        process.kill()
        function.close()


def test_a_function_that_never_works_ends_the_run_with_its_reason(user_file):
    panel = Panel([RewardSection(function=f"{user_file}:broken")], "judged")
    try:
        with pytest.raises(LimpidError, match=r"failed on 2 of 2 answers \(RuntimeError: nothing works\)"):
            panel([asked("a"), asked("b")])
    finally:
        panel.close()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"function": "exact-mach"}, "Did you mean 'exact-match'"),
        ({"function": "python-docs", "options": {"rigt": 2}}, "Did you mean 'right'"),
        ({"function": "matches"}, "needs the option 'pattern'"),
        ({"function": "nowhere.py:score"}, "which is no file"),
        ({"function": "model"}, "needs its run"),
    ],
)
def test_a_reward_that_cannot_be_had_is_one_clear_line(section, words):
    with pytest.raises(LimpidError, match=words):
        Panel([RewardSection(**section)], 0.0)


def test_a_file_that_cannot_be_imported_says_why(tmp_path, user_file):
    bad = tmp_path / "bad.py"
    bad.write_text("import nothing_of_that_name\n")
    with pytest.raises(LimpidError, match="ModuleNotFoundError.*nothing_of_that_name"):
        Panel([RewardSection(function=f"{bad}:score")], 0.0)
    with pytest.raises(LimpidError, match="has no function 'scor'"):
        Panel([RewardSection(function=f"{user_file}:scor")], 0.0)


def test_several_rewards_are_added_by_weight_and_known_apart():
    panel = Panel(
        [RewardSection(function="exact-match", weight=2.0), RewardSection(function="length", options={"words": 1})], 0.0
    )
    (found,) = panel([asked("5 5", expected="5 5")])
    assert found.parts == {"exact-match": 1.0, "length": 0.0}
    assert found.reward == 2.0
    halves = Panel([RewardSection(function="arithmetic", weight=0.5)] * 2, 0.0)
    assert halves.names == ["arithmetic", "arithmetic 2"] or len(set(halves.names)) == 2
    assert halves([asked("5")])[0].reward == 1.0


@pytest.mark.parametrize(("unfinished", "reward"), [(-1.0, -1.0), ("judged", 1.0), ("left_out", None)])
def test_an_answer_that_never_ended(unfinished, reward):
    panel = Panel([RewardSection(function="arithmetic")], unfinished)
    found = panel([asked("5", finished=False), asked("5")])
    assert found[1].reward == 1.0
    assert math.isnan(found[0].reward) if reward is None else found[0].reward == reward


def test_a_reward_model_is_a_reward_and_what_it_cannot_read_is_a_failure():
    class Scorer:
        def score(self, pairs):
            if any(len(answer) > 5 for _, answer in pairs):
                raise LimpidError("conversation 1 has 300 tokens and the reward model's context is 256.")
            return [float(len(answer)) + len(messages) for messages, answer in pairs]

    panel = Panel([RewardSection(function="model", options={"path": "run"})], 0.0, lambda path: Scorer())
    found = panel([asked("abc"), asked("far too long"), asked("")])
    assert [found[0].reward, found[2].reward] == [4.0, 1.0]
    assert math.isnan(found[1].reward)
    assert panel.failures == {"model": 1}
