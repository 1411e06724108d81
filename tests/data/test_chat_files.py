"""Conversations from files, folders, globs and the hub, in splits that keep openings apart."""

import gzip
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limpid.core.errors import LimpidError
from limpid.data.chat_files import conversations


def turns(number: int, answer: str = "yes") -> list[dict[str, str]]:
    return [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": answer}]


def write(path: Path, *rows: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def openings(chats: Any) -> list[str]:
    return [chat.messages[0]["content"] for chat in chats]


def test_one_file_is_divided_by_openings(tmp_path: Path) -> None:
    rows = [{"messages": turns(number, answer)} for number in range(300) for answer in ("yes", "no")]
    splits = conversations(write(tmp_path / "a.jsonl", *rows))
    parts = {name: openings(split) for name, split in splits.items()}
    assert sorted(parts["train"] + parts["validation"] + parts["test"]) == sorted(openings_of(rows))
    sets = [set(part) for part in parts.values()]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]
    assert 5 < len(sets[1]) < 30
    assert 5 < len(sets[2]) < 30
    fewer = conversations(write(tmp_path / "b.jsonl", *rows[200:]))  # a row stays on its side
    assert set(openings(fewer["test"])) <= sets[2]


def test_of_few_conversations_none_is_held_out(tmp_path: Path) -> None:
    splits = conversations(write(tmp_path / "a.jsonl", *({"messages": turns(n)} for n in range(39))))
    assert len(list(splits["train"])) == 39
    assert not list(splits["validation"])
    assert not list(splits["test"])


def openings_of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["messages"][0]["content"] for row in rows]


def test_a_folder_is_split_as_its_files_say(tmp_path: Path) -> None:
    write(tmp_path / "x" / "train.jsonl", *({"messages": turns(n)} for n in range(200)))
    write(tmp_path / "x" / "test.jsonl", {"messages": turns(1000)})
    splits = conversations(str(tmp_path / "x"))
    assert openings(splits["test"]) == ["question 1000"]
    held = set(openings(splits["validation"]))
    assert held
    assert len(held) + len(set(openings(splits["train"]))) == 200
    write(tmp_path / "x" / "valid.jsonl", {"messages": turns(2000)})
    splits = conversations(str(tmp_path / "x"))
    assert openings(splits["validation"]) == ["question 2000"]
    assert len(openings(splits["train"])) == 200


def test_gzipped_json_list_parquet_csv_and_globs(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps({"messages": turns(1)}).encode()))
    (tmp_path / "b.json").write_text(json.dumps([{"prompt": "question 2", "completion": "yes"}]))
    (tmp_path / "c.csv").write_text("question,answer\nquestion 3,yes\n")
    rows = [{"messages": turns(4), "system": None}, {"messages": turns(5), "system": "Be brief."}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    for path in (str(tmp_path), f"{tmp_path}/*"):
        everything = [chat for split in conversations(path).values() for chat in split]
        assert sorted(openings(everything)) == sorted(["Be brief.", *(f"question {n}" for n in range(1, 5))])


def test_names_are_looked_for_in_the_data_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "my_chats" / "train.jsonl", {"messages": turns(1)})
    write(tmp_path / "my_chats" / "test.jsonl", {"messages": turns(2)})
    monkeypatch.setenv("LIMPID_DATA_DIR", str(tmp_path))
    assert openings(conversations("my_chats")["test"]) == ["question 2"]


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="holds no conversations"):
        conversations(write(tmp_path / "empty.jsonl"))
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(LimpidError, match="no file of conversations"):
        conversations(str(tmp_path / "a.txt"))
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(LimpidError, match=r"Broken JSON at .*broken.jsonl:1"):
        conversations(str(tmp_path / "broken.jsonl"))
    with pytest.raises(LimpidError, match=r"No such file: .*Check sft.path=."):
        conversations(str(tmp_path / "nowhere" / "a.jsonl"))
    bad = write(tmp_path / "bad.jsonl", {"messages": turns(1)}, {"messages": turns(2, "")})
    with pytest.raises(LimpidError, match=r"Message 2 of .*bad.jsonl:2 \(assistant\) is empty"):
        list(conversations(bad)["train"])


def test_a_local_data_set_through_the_datasets_library(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "mine"
    write(folder / "train.jsonl", *({"messages": turns(n)} for n in range(5)))
    write(folder / "test.jsonl", {"messages": turns(9)})
    splits = conversations(f"hub:{folder}")
    assert len(list(splits["train"])) == 5  # too few to hold any out
    assert not list(splits["validation"])
    assert openings(splits["test"]) == ["question 9"]
    assert next(iter(splits["test"])).source == f"hub:{folder}/test, row 1"
    saved = datasets.DatasetDict(
        {
            "train_sft": datasets.Dataset.from_list([{"messages": turns(n)} for n in range(4)]),
            "test_sft": datasets.Dataset.from_list([{"messages": turns(7)}]),
        }
    )
    saved.save_to_disk(str(tmp_path / "saved"))
    splits = conversations(f"hub:{tmp_path / 'saved'}")
    assert openings(splits["test"]) == ["question 7"]


def test_the_hub_without_network_or_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("limpid.data.hub._reachable", lambda: True)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=offline))
    with pytest.raises(LimpidError, match=r"no route to host.*give their folder as sft.path=."):
        conversations("hub:owner/chats")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LimpidError, match=r"pip install 'limpid\[hub\]'.*sft.path=."):
        conversations("hub:owner/chats")


def test_a_hub_out_of_reach_is_told_at_once() -> None:
    """The libraries would try for minutes; here nothing listens at the address."""
    pytest.importorskip("datasets")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        program = "from limpid.data.chat_files import conversations; conversations('hub:owner/chats')"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=100
        )
    assert "LimpidError: Cannot open hub:owner/chats" in done.stderr
    assert "download the files elsewhere and give their folder as sft.path=." in done.stderr
    assert "Retrying" not in done.stderr


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="LIMPID_DATA_DIR names no data sets")
@pytest.mark.parametrize(("name", "training", "test"), [("chat_en", 4953, 500), ("chat_zh", 2156, 247)])
def test_real_conversations(name: str, training: int, test: int) -> None:
    splits = conversations(name)
    held = len(list(splits["validation"]))
    assert len(list(splits["train"])) + held == training
    assert 0.02 < held / training < 0.09
    assert len(list(splits["test"])) == test
