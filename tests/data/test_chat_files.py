import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from limpid.core.errors import LimpidError
from limpid.data.chat_files import read_conversations

USER = {"role": "user", "content": "你好"}
ASSISTANT = {"role": "assistant", "content": "你好！"}
SYSTEM = {"role": "system", "content": "Be brief."}


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": [USER, ASSISTANT], "source": "x"}, [USER, ASSISTANT]),
        ({"messages": [SYSTEM, USER, ASSISTANT, USER, ASSISTANT]}, [SYSTEM, USER, ASSISTANT, USER, ASSISTANT]),
        ({"messages": [{**USER, "id": 1}, ASSISTANT]}, [USER, ASSISTANT]),
        ({"prompt": "你好", "completion": "你好！"}, [USER, ASSISTANT]),
        ({"prompt": "你好", "response": "你好！"}, [USER, ASSISTANT]),
        ({"prompt": [SYSTEM, USER], "completion": "你好！"}, [SYSTEM, USER, ASSISTANT]),
        ({"instruction": "你好", "input": "", "output": "你好！"}, [USER, ASSISTANT]),
        ({"instruction": "你好", "output": "你好！"}, [USER, ASSISTANT]),
        (
            {"instruction": "Add", "input": "1 and 2", "output": "3"},
            [{"role": "user", "content": "Add\n\n1 and 2"}, {"role": "assistant", "content": "3"}],
        ),
    ],
)
def test_shapes(tmp_path: Path, row: dict[str, Any], expected: list[dict[str, str]]) -> None:
    assert list(read_conversations(write(tmp_path / "a.jsonl", row))) == [expected]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": []}, "must be a list with something in it"),
        ({"messages": [USER]}, "an assistant's answer must end it"),
        ({"messages": [ASSISTANT]}, "by the assistant where the user's turn is"),
        ({"messages": [USER, USER, ASSISTANT]}, "Message 2 of"),
        ({"messages": [USER, SYSTEM, ASSISTANT]}, "by the system where the assistant's turn is"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "'bot'"),
        ({"messages": [{"role": "user"}]}, "must have 'role' and 'content'"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "(assistant) is empty or no text"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "(assistant) is empty or no text"),
        ({"prompt": "x"}, "no 'completion' or 'response'"),
        ({"prompt": 1, "completion": "x"}, "neither a text nor a list"),
        ({"instruction": 1, "output": "x"}, "must be texts"),
        ({"text": "x"}, "no conversation (it has: text)"),
    ],
)
def test_bad_rows_are_named_by_line(tmp_path: Path, row: dict[str, Any], expected: str) -> None:
    path = write(tmp_path / "a.jsonl", {"messages": [USER, ASSISTANT]}, row)
    with pytest.raises(LimpidError) as caught:
        list(read_conversations(path))
    assert expected in str(caught.value)
    assert f"{path}:2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="holds no conversations"):
        list(read_conversations(write(tmp_path / "empty.jsonl")))
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(LimpidError, match="no file of conversations"):
        list(read_conversations(str(tmp_path / "a.txt")))
    (tmp_path / "broken.jsonl").write_text("{")
    with pytest.raises(LimpidError, match=r"Broken JSON at .*broken.jsonl:1"):
        list(read_conversations(str(tmp_path / "broken.jsonl")))


def test_gzipped_and_json_list(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps({"messages": [USER, ASSISTANT]}).encode()))
    (tmp_path / "b.json").write_text(json.dumps([{"prompt": "你好", "completion": "你好！"}]))
    assert list(read_conversations(str(tmp_path))) == [[USER, ASSISTANT]] * 2


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="LIMPID_DATA_DIR names no data sets")
@pytest.mark.parametrize(("folder", "count"), [("chat_en", 5453), ("chat_zh", 2403)])
def test_real_conversations(folder: str, count: int) -> None:
    assert len(list(read_conversations(os.path.join(os.environ["LIMPID_DATA_DIR"], folder)))) == count
