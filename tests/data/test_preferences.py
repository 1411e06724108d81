"""Pairs of answers out of every layout in use; what teaches nothing is counted; bad rows are named."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from limpid.core.errors import LimpidError
from limpid.data.preferences import APART, EMPTY, SAME, Preference, preference_splits, read_preferences

USER, SYSTEM = {"role": "user", "content": "Hi?"}, {"role": "system", "content": "Be brief."}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


TWO = ({"role": "user", "content": "One"}, said("1"), {"role": "user", "content": "Two"})
HH = "\n\nHuman: One\n\nAssistant: 1\n\nHuman: Two\n\nAssistant:"
LAYOUTS: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "texts": ({"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}, (USER,)),
    "a prompt of messages": ({"prompt": [SYSTEM, USER], "chosen": "Yes.", "rejected": "No."}, (SYSTEM, USER)),
    "answers as messages": ({"prompt": [USER], "chosen": [said("Yes.")], "rejected": [said("No.")]}, (USER,)),
    "answers that repeat the prompt": (
        {"prompt": "Hi?", "chosen": [USER, said("Yes.")], "rejected": [USER, said("No.")]},
        (USER,),
    ),
    "whole dialogues": ({"chosen": [*TWO, said("Yes.")], "rejected": [*TWO, said("No.")]}, TWO),
    "hh-rlhf": ({"chosen": f"{HH} Yes.", "rejected": f"{HH} No."}, TWO),
    "hh-rlhf with its prompt apart": ({"prompt": HH, "chosen": " Yes.", "rejected": " No."}, TWO),
    "a question and a system text": (
        {"system": "Be brief.", "question": "Hi?", "chosen": "Yes.", "rejected": "No."},
        (SYSTEM, USER),
    ),
    "an instruction and its input": (
        {"instruction": "Say", "input": "it", "chosen": "Yes.", "rejected": "No."},
        ({"role": "user", "content": "Say\n\nit"},),
    ),
    "ShareGPT": (
        {
            "conversations": [{"from": "human", "value": "Hi?"}],
            "chosen": {"from": "gpt", "value": "Yes."},
            "rejected": {"from": "gpt", "value": "No."},
        },
        (USER,),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_means_the_same_pair(tmp_path: Path, layout: str) -> None:
    row, prompt = LAYOUTS[layout]
    read = read_preferences(write(tmp_path / "pairs.jsonl", [row]))
    (pair,) = read.pairs
    assert pair.prompt == prompt
    assert (pair.chosen.strip(), pair.rejected.strip()) == ("Yes.", "No.")
    assert not read.left_out


def test_kinds_and_compressed_files_are_read(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi?", "chosen": "a", "rejected": "b", "source": "people"}]
    with gzip.open(tmp_path / "pairs.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(rows[0]))
    assert read_preferences(str(tmp_path / "pairs.jsonl.gz")).pairs == [Preference((USER,), "a", "b", "people")]


def test_pairs_that_teach_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."},
        {"prompt": "Hi?", "chosen": "Yes.", "rejected": " Yes.\n"},
        {"prompt": "Hi?", "chosen": "  ", "rejected": "No."},
        {"prompt": "Hi?", "chosen": "Yes.", "rejected": ""},
        {"chosen": f"{HH} Yes.", "rejected": "\n\nHuman: Two\n\nAssistant: No."},
        {"chosen": f"{HH} Yes.", "rejected": f"{HH}"},
        {"prompt": "Hi?", "chosen": [USER, said("Yes.")], "rejected": [TWO[0], said("No.")]},
    ]
    read = read_preferences(write(tmp_path / "pairs.jsonl", rows))
    assert len(read.pairs) == 1
    assert read.left_out == {SAME: 1, EMPTY: 3, APART: 2}
    with pytest.raises(LimpidError, match="holds no preferences .*the same answer twice: 1"):
        read_preferences(write(tmp_path / "none.jsonl", rows[1:2]))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "Hi?", "chosen": "Yes."}, ["'rejected'"]),
        ({"prompt": "Hi?", "chosen": "Yes.", "rejected": None}, ["'rejected'"]),
        ({"prompt": 3, "chosen": "Yes.", "rejected": "No."}, ["'prompt'", "a list of messages"]),
        ({"prompt": [], "chosen": "Yes.", "rejected": "No."}, ["'prompt'"]),
        ({"prompt": [USER, said("x")], "chosen": "Yes.", "rejected": "No."}, ["'prompt'", "the user's must end it"]),
        ({"prompt": "Hi?", "chosen": 7, "rejected": "No."}, ["'chosen'"]),
        ({"prompt": "Hi?", "chosen": "Yes.", "rejected": [USER]}, ["'rejected'", "by the user"]),
        ({"prompt": [{"role": "user"}], "chosen": "Yes.", "rejected": "No."}, ["message 1 of 'prompt'"]),
        (
            {"prompt": [{"role": "me", "content": "x"}], "chosen": "a", "rejected": "b"},
            ["message 1 of 'prompt'", "'me'"],
        ),
        ({"prompt": " ", "chosen": "a", "rejected": "b"}, ["message 1 of 'prompt'", "empty"]),
        ({"chosen": "Yes.", "rejected": "No."}, ["'chosen'", "no 'prompt'"]),
        ({"chosen": [said("x")], "rejected": [said("y")]}, ["'chosen'", "dialogue"]),
        ({"prompt": "Hi?", "chosen": "\ud800", "rejected": "No."}, ["'chosen'", "surrogate"]),
    ],
)
def test_a_malformed_row_is_named_with_its_line_and_field(
    tmp_path: Path, row: dict[str, Any], words: list[str]
) -> None:
    path = tmp_path / "pairs.jsonl"
    good = {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."}
    path.write_text(json.dumps(good) + "\n" + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(LimpidError) as caught:
        read_preferences(str(path))
    for word in ["pairs.jsonl:2", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_held_out_pairs_share_no_prompt_with_training(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Question {i // 3}?", "chosen": f"yes {i}", "rejected": f"no {i}"} for i in range(90)
    ]  # three pairs a prompt
    splits, left_out = preference_splits(write(tmp_path / "pairs.jsonl", rows))
    assert not left_out
    asked = {split: {pair.prompt[0]["content"] for pair in pairs} for split, pairs in splits.items()}
    assert {split: len(found) for split, found in asked.items()} == {"train": 24, "validation": 3, "test": 3}
    assert not asked["train"] & asked["validation"]
    assert not (asked["train"] | asked["validation"]) & asked["test"]
    assert sum(map(len, splits.values())) == 90
    with pytest.raises(LimpidError, match="too few"):
        preference_splits(write(tmp_path / "few.jsonl", rows[:6]))


def test_a_folder_is_split_as_its_names_say(tmp_path: Path) -> None:
    for name, count in (("train", 40), ("test", 5)):
        rows = [{"prompt": f"{name} {i}", "chosen": "a", "rejected": "b"} for i in range(count)]
        write(tmp_path / f"{name}.jsonl", rows)
    splits, _ = preference_splits(str(tmp_path))
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 36, "validation": 4, "test": 5}
    (tmp_path / "picture.png").write_bytes(b"")
    with pytest.raises(LimpidError, match="picture.png"):
        read_preferences(str(tmp_path / "picture.png"))


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="needs the files of LIMPID_DATA_DIR")
@pytest.mark.parametrize(("name", "train", "test"), [("preference_en", 4067, 378), ("preference_zh", 599, 57)])
def test_the_real_files_are_read_whole(name: str, train: int, test: int) -> None:
    splits, left_out = preference_splits(name)
    assert len(splits["train"]) + len(splits["validation"]) == train
    assert len(splits["test"]) == test
    assert not left_out
    assert all(pair.kind for pair in splits["test"])
