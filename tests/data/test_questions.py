"""Questions for RL out of files and streams."""

from __future__ import annotations

import json
import os

import pytest

from limpid.core.errors import LimpidError
from limpid.data import addition
from limpid.data.questions import question_of, read_questions
from limpid.rollout.rewards.own import final_number, number_of


@pytest.mark.parametrize(
    ("row", "asked", "expected"),
    [
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "n": 1}, "q", "a"),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]}, "q", None),
        ({"prompt": "q", "completion": "a"}, "q", "a"),
        ({"question": "How many?", "answer": "2 + 2\n#### 4"}, "How many?", "2 + 2\n#### 4"),
        ({"instruction": "Add", "input": "1, 2", "output": "3"}, "Add\n\n1, 2", "3"),
        ({"prompt": [{"role": "user", "content": "q"}], "expected": 7}, "q", "7"),
        ({"prompt": "q", "completion": " "}, "q", None),
    ],
)
def test_rows_of_every_layout(row, asked, expected):
    question = question_of(row, "line 1")
    assert question.messages[-1] == {"role": "user", "content": asked}
    assert question.expected == expected
    assert row.items() <= {**question.row, **({"expected": row["expected"]} if "expected" in row else {})}.items()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x"}, "has no prompt .it has: text"),
        ({"prompt": [1, 2]}, "neither a text nor a list of messages"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "must end with a message of the user"),
        ({"prompt": "  "}, "that says something"),
        ({"prompt": "half \ud83d"}, "half of a surrogate pair"),
        ({"prompt": "q", "answer": "half \udc00"}, "half of a surrogate pair"),
    ],
)
def test_a_malformed_row_says_where_and_what(row, words):
    with pytest.raises(LimpidError, match=f"line 7.*{words}"):
        question_of(row, "line 7")


def test_a_file_keeps_a_part_for_evaluation_and_gives_every_other_row_once_an_epoch(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"q{i}", "answer": f"a{i}"}) for i in range(40)))
    questions = read_questions(str(path), None, seed=0)
    held = {q.messages[0]["content"] for q in questions.held_out}
    epoch = [questions.training[i].messages[0]["content"] for i in range(38)]
    assert len(held) == 2
    assert len(set(epoch)) == 38
    assert not held & set(epoch)
    assert [questions.training[i] for i in range(5)] == [
        read_questions(str(path), None, 0).training[i] for i in range(5)
    ]
    fewer, dropped = questions.only(lambda q: len(q.messages[0]["content"]) == 2)  # q0 .. q9
    assert dropped == 30
    assert {fewer.training[i].expected for i in range(20)} <= {f"a{i}" for i in range(10)}
    with pytest.raises(LimpidError, match="none is left"):
        questions.only(lambda q: False)


def test_a_folder_of_the_data_folders_is_split_as_its_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_DATA_DIR", str(tmp_path))
    (tmp_path / "sums").mkdir()
    for name, count in (("train", 30), ("test", 7)):
        rows = [json.dumps({"question": f"{name} {i}", "answer": f"so\n#### {i}"}) for i in range(count)]
        (tmp_path / "sums" / f"{name}.jsonl").write_text("\n".join(rows))
    questions = read_questions("sums", None, 0)
    assert [q.messages[0]["content"] for q in questions.held_out] == [f"test {i}" for i in range(7)]
    assert {questions.training[i].messages[0]["content"] for i in range(30)} == {f"train {i}" for i in range(30)}
    with pytest.raises(LimpidError, match=r"No such file or folder: nowhere.jsonl.*ppo.path"):
        read_questions("nowhere.jsonl", None, 0, "ppo")
    with pytest.raises(LimpidError, match="no name on the hub"):
        read_questions("hub:nobody", None, 0)


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="needs the files of LIMPID_DATA_DIR")
def test_gsm8k_as_published_is_read_whole_and_every_answer_ends_in_a_number():
    questions = read_questions("gsm8k", None, 0)
    assert len(questions.held_out) == 1319
    asked = [*questions.held_out, *(questions.training[i] for i in range(7473))]
    for question in asked:
        assert question.expected is not None
        wanted = float(question.expected.split("####")[1].replace(",", ""))
        assert number_of(question.expected) == wanted
        assert final_number("", f"I think it is {wanted}", question.row) == 1.0
        assert final_number("", f"it is {wanted}, so #### {wanted + 1}", question.row) == 0.0


def test_sums_are_split_once_for_text_conversations_and_questions():
    train, held = addition.sums(held_out=False), addition.sums(held_out=True)
    assert len(train) + len(held) == 10_000
    assert 800 < len(held) < 1200
    assert not {tuple(sorted(p)) for p in train} & {tuple(sorted(p)) for p in held}
    questions = read_questions("addition", None, 0)
    seen = {(q.row["a"], q.row["b"]) for q in (questions.training[i] for i in range(500))}
    assert seen <= set(train)
    assert {(q.row["a"], q.row["b"]) for q in questions.held_out} == set(held)
    assert {tuple(map(int, m[0]["content"].split(" + "))) for m in addition.conversations(300)} <= set(train)
    lines = [line for document in addition.corpus()["train"] for line in document.text.splitlines()]
    assert len(lines) == len(train)
    assert all(eval(line.replace("=", "==")) for line in lines[:50])
