import csv
import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limpid.core.errors import LimpidError
from limpid.data import decode, sources
from limpid.data.corpus import Part, resolve
from limpid.data.document import Document
from limpid.data.sources import documents

POEM = "床前明月光，疑是地上霜。"


def texts(path: Path | str, text_key: str = "text") -> list[str]:
    return [document.text for document in documents(str(path), text_key=text_key)]


def refused(path: Path | str, text_key: str = "text") -> str:
    with pytest.raises(LimpidError) as caught:
        texts(path, text_key)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parquet(path: Path, columns: dict[str, list[object]]) -> None:
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json.dumps({"text": POEM}) + "\n\n" + json.dumps({"text": "two"})),
        ("a.ndjson", json.dumps({"text": POEM, "id": 1}, ensure_ascii=False) + "\n" + '{"text": "two"}\n'),
        ("a.json", json.dumps([{"text": POEM}, {"text": "two"}])),
        ("b.json", json.dumps([POEM, "two"])),
        ("a.csv", f'id,text\n1,"{POEM}"\n2,two\n'),
        ("a.tsv", f"id\ttext\n1\t{POEM}\n2\ttwo\n"),
        ("a.txt", f"{POEM}\n<|endoftext|>\ntwo\n<|endoftext|>\n"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_each_format_gives_the_same_documents(tmp_path: Path, name: str, content: str, zipped: bool) -> None:
    data = content.encode()
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert texts(path) == [POEM, "two"]


def test_parquet(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"id": [1, 2], "text": [POEM, "two"], "other": ["x", "y"]})
    assert list(documents(str(tmp_path / "a.parquet"))) == [
        Document(POEM, f"{tmp_path}/a.parquet, row 1"),
        Document("two", f"{tmp_path}/a.parquet, row 2"),
    ]
    assert texts(tmp_path / "a.parquet", "other") == ["x", "y"]


def test_a_plain_file_is_one_document_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n First line\n\nsecond \n")
    assert list(documents(str(path))) == [Document("\n First line\n\nsecond \n", str(path))]


def test_mark_and_windows_line_ends_are_dropped_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff一\r\n二\rthree\r\n".encode())
    for size in (1, 2, 3, 5, 1000):
        monkeypatch.setattr(decode, "BLOCK_BYTES", size)
        assert texts(path) == ["一\n二\rthree\n"]


def test_only_a_newline_ends_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one\u2028still one\x85"}\n', encoding="utf-8")
    assert texts(path) == ["one\u2028still one\x85"]


def test_folder_is_recursive_sorted_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/.hidden.txt", ".git/config", "c.md", "empty.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.txt" else name)
    assert texts(tmp_path) == ["a/z.txt", "b.txt", "c.md"]
    assert texts(f"{tmp_path}/**/*.txt") == ["a/z.txt", "b.txt"]
    assert texts(f"{tmp_path}/?.md") == ["c.md"]


def test_text_key(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "t", "body": "b", "n": 1}\n')
    assert texts(path, "body") == ["b"]
    assert "data.text_key= (text fields: title, body)" in refused(path)
    path.write_text('{"body": "the only text", "n": 1}\n')
    assert texts(path) == ["the only text"]
    parquet(tmp_path / "a.parquet", {"n": [1], "body": ["b"]})
    assert texts(tmp_path / "a.parquet") == ["b"]
    (tmp_path / "a.csv").write_text("n,body\n1,b\n")
    assert texts(tmp_path / "a.csv") == ["b"]


def test_csv_keeps_line_breaks_and_long_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    long = "word, " * 60_000
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["text"], ["one\ntwo"], [long]])
    assert texts(path) == ["one\ntwo", long]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"", "a.txt is empty"),
        ("a.txt", b" \n\n", "a.txt is empty"),
        ("a.jsonl", b"", "a.jsonl is empty"),
        ("a.txt", b"text\0text", "binary file (a NUL byte at position 4)"),
        ("a.txt", bytes(range(1, 32)) * 50 + b"\xff", "binary file"),
        ("a.txt", b"one\ntwo\nth\xffree", "not valid UTF-8 at byte 10 (line 3), value 0xff"),
        ("a.txt", "月".encode()[:2], "not valid UTF-8 at byte 0 (line 1)"),
        ("a.txt", POEM.encode("gb18030"), "iconv"),
        ("a.txt", "text".encode("utf-16"), "UTF-16"),
        ("a.txt.gz", gzip.compress(b"text" * 99, mtime=0)[:-9], "not a whole gzip file"),
        ("a.txt.gz", b"no gzip", "not a whole gzip file"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', "Broken JSON at {path}:2"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}\n', "{path}:2 has no field 'text' (it has: body)"),
        ("a.jsonl", b'{"text": "x"}\n{"text": null}\n', "Field 'text' of {path}:2 is a JSON null"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "surrogate"),
        ("a.jsonl", b"[1]\n", "{path}:1 holds a JSON list"),
        ("a.json", b'{"text": "x"}', "a list of texts or of objects is wanted"),
        ("a.json", b'[\n"x",\n]', "Broken JSON at {path}:3"),
        ("a.json", b'{"text": "x"}\n{"text": "y"}', "name it .jsonl"),
        ("a.csv", b"text,n\nx,1\ny\n", "{path}:3 has 1 columns where the header has 2"),
        ("a.csv", b'text\n"x" y\n', "Broken table at {path}:2"),
        ("a.parquet", b"PAR1 no", "Parquet"),
        ("a.pdf", b"%PDF", "'.pdf' is not supported"),
        ("a.txt.xz", b"", "'.xz' is not supported"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    message = refused(path)
    assert expected.replace("{path}", str(path)) in message
    assert str(path) in message


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_position_of_bad_utf8_in_any_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(decode, "BLOCK_BYTES", block)
    path = tmp_path / "a.txt"
    path.write_bytes(("月光\n" * 100).encode() + b"ab\xe6\x9cz")
    assert "byte 702 (line 101)" in refused(path)


def test_missing_names(tmp_path: Path) -> None:
    (tmp_path / "shakespeare.txt").write_text("x")
    assert "Did you mean 'shakespeare.txt'?" in refused(tmp_path / "shakespere.txt")
    assert "no folder" in refused(tmp_path / "nowhere" / "a.txt")
    assert "No file matches" in refused(tmp_path / "*.jsonl")
    (tmp_path / "void").mkdir()
    assert "holds no files" in refused(tmp_path / "void")


# Splits -------------------------------------------------------------------------------------------------------------


def split_texts(path: Path | str) -> dict[str, list[str]]:
    return {split: [document.text for document in part] for split, part in resolve(str(path)).items()}


def test_one_text_is_cut_at_line_breaks(tmp_path: Path) -> None:
    content = "".join(f"line {n}\n" for n in range(1000))
    (tmp_path / "a.txt").write_text(content)
    parts = split_texts(tmp_path / "a.txt")
    assert "".join(parts["train"] + parts["validation"] + parts["test"]) == content
    assert all(part[0].endswith("\n") for part in parts.values())
    assert len(parts["train"][0]) == pytest.approx(0.9 * len(content), rel=0.01)
    assert len(parts["validation"][0]) == pytest.approx(0.05 * len(content), rel=0.1)
    assert split_texts(tmp_path / "a.txt") == parts


def test_many_documents_are_dealt_out_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "document {n}"}}\n' for n in range(1010)))
    parts = split_texts(tmp_path / "a.jsonl")
    assert sorted(text for part in parts.values() for text in part) == sorted(f"document {n}" for n in range(1010))
    assert {split: len(part) for split, part in parts.items()} == {
        "train": pytest.approx(909, abs=2),
        "validation": pytest.approx(50, abs=2),
        "test": pytest.approx(50, abs=2),
    }
    assert split_texts(tmp_path / "a.jsonl") == parts


def test_names_of_files_decide_the_split(tmp_path: Path) -> None:
    for name in ("train-0.txt", "train-1.txt", "dev.txt", "README.md"):
        (tmp_path / name).write_text(name)
    assert split_texts(tmp_path) == {
        "train": ["train-0.txt", "train-1.txt"],
        "validation": ["dev.txt"],
        "test": ["dev.txt"],
    }
    (tmp_path / "stray.txt").write_text("x")
    with pytest.raises(LimpidError, match=r"stray.txt is named for neither"):
        resolve(str(tmp_path))


def test_validation_comes_out_of_training_where_only_a_test_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a line of text\n" * 100)
    (tmp_path / "test.txt").write_text("test")
    parts = split_texts(tmp_path)
    assert parts["test"] == ["test"]
    assert "".join(parts["train"] + parts["validation"]) == "a line of text\n" * 100
    assert len(parts["train"][0]) == pytest.approx(0.95 * 1500, rel=0.02)


def test_too_little_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(LimpidError, match="its longest text is 1 long"):
        resolve(str(tmp_path / "a.txt"))


def test_a_part_reads_anew_each_time() -> None:
    part = Part(lambda: iter([Document("a" * 100, "here")]), low=0, high=18, cut=True)
    assert [len(d.text) for d in part] == [len(d.text) for d in part] == [90]


def test_unknown_name_suggests_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LimpidError, match="Did you mean 'tinyshakespeare'"):
        resolve("tinyshakespear")
    with pytest.raises(LimpidError, match="The data sets are: python-docs"):
        resolve("zzz")


# The hub ------------------------------------------------------------------------------------------------------------


def fake_datasets(monkeypatch: pytest.MonkeyPatch, load: Callable[..., object]) -> None:
    monkeypatch.setattr("limpid.data.hub._reachable", lambda: True)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))


def test_hub_reads_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(*args: object, **kwargs: object) -> object:
        calls.append((args, kwargs))
        return {"train": [{"text": "a"}], "validation": [{"text": "b"}], "extra": []}

    fake_datasets(monkeypatch, load)
    assert split_texts("hub:owner/name:small") == {"train": ["a"], "validation": ["b"], "test": ["b"]}
    assert calls == [(("owner/name", "small"), {"streaming": True})]


def test_hub_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.data.hub._reachable", lambda: True)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LimpidError, match=r"pip install 'limpid\[hub\]'"):
        resolve("hub:owner/name")

    def offline(*args: object, **kwargs: object) -> object:
        raise ConnectionError("Couldn't reach the hub\nmore")

    fake_datasets(monkeypatch, offline)
    with pytest.raises(LimpidError, match=r"Couldn't reach the hub\). Check the name and the network"):
        resolve("hub:owner/name")
    with pytest.raises(LimpidError, match="hub:OWNER/NAME"):
        resolve("hub:name")


# The real ones ------------------------------------------------------------------------------------------------------

needs_data = pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="LIMPID_DATA_DIR names no data sets")


@needs_data
def test_tinyshakespeare_has_its_usual_split() -> None:
    parts = split_texts("tinyshakespeare")
    assert [len(parts[split][0]) for split in ("train", "validation")] == [1_003_854, 111_540]
    assert parts["test"] == parts["validation"]


@needs_data
def test_tang_poems_from_the_shared_folder() -> None:
    parts = split_texts("tang-poems")
    assert len(parts["train"]) == 16_983
    assert len(parts["validation"]) == 600
    assert parts["test"][0].startswith("在嶽詠蟬\n駱賓王\n西陸蟬聲唱，")


def test_a_very_large_text_is_read_in_parts(tmp_path, monkeypatch):
    text = "".join(f"line {i}\n" for i in range(100))
    (tmp_path / "large.txt").write_text(text)
    assert [d.text for d in documents(str(tmp_path / "large.txt"))] == [text]
    monkeypatch.setattr(sources, "LARGE_BYTES", 100)
    monkeypatch.setattr(sources, "PART_CHARACTERS", 50)
    parts = [d.text for d in documents(str(tmp_path / "large.txt"))]
    assert "".join(parts) == text
    assert all(50 <= len(part) < 60 for part in parts[:-1])
