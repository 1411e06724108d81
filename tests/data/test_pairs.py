"""Sentence pairs out of files of every kind, and the messages about those that are none."""

from __future__ import annotations

import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limpid.core.errors import LimpidError
from limpid.data.pairs import pair_splits, read_pairs

PAIRS = [("A dog.", "Ein Hund."), ('He said "no".', "Er sagte „nein“."), ("Two, three", "Zwei, drei")]


def texts(path, **keys) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in read_pairs(path, **keys)]


@pytest.fixture
def two_files(tmp_path) -> tuple[str, str]:
    for number, name in enumerate(("x.en", "x.de")):
        (tmp_path / name).write_text("".join(pair[number] + "\n" for pair in PAIRS), encoding="utf-8")
    return str(tmp_path / "x.en"), str(tmp_path / "x.de")


def test_two_line_aligned_files(two_files):
    assert texts(two_files) == PAIRS
    assert next(read_pairs(two_files)).where == f"{two_files[0]}:1"


@pytest.mark.parametrize("longer", [0, 1])
def test_files_of_unequal_length_are_refused_with_the_line(two_files, longer):
    with open(two_files[longer], "a", encoding="utf-8") as stream:
        stream.write("one more\n")
    with pytest.raises(LimpidError) as caught:
        texts(two_files)
    shorter = two_files[1 - longer]
    assert f"{shorter} ends after line 3, but {two_files[longer]} goes on at line 4" in str(caught.value)


def test_pairs_with_an_empty_side_are_left_out_and_keep_the_others_aligned(two_files):
    for path, line in zip(two_files, ("", "nur rechts"), strict=True):
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(f"{line}\nlast\n")
    assert texts(two_files) == [*PAIRS, ("last", "last")]


def test_a_table_without_a_header(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    assert texts(str(path)) == PAIRS


def test_a_table_with_a_header_and_more_columns(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('id,de,en\n1,Ein Hund.,A dog.\n2,"Zwei, drei","Two, three"\n', encoding="utf-8")
    assert texts(str(path), source_key="en", target_key="de") == [PAIRS[0], PAIRS[2]]


def test_json_lines_gzipped_and_nested(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"translation": {"en": a, "de": b}}) + "\n" for a, b in PAIRS)
    assert texts(str(path)) == PAIRS
    assert texts(str(path), source_key="de", target_key="en") == [(b, a) for a, b in PAIRS]


def test_parquet(tmp_path):
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"en": [a for a, _ in PAIRS], "de": [b for _, b in PAIRS]}), path)
    assert texts(str(path)) == PAIRS


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tsv", "one\ttwo\nthree\n", ["a.tsv:2 has 1 columns, not 2"]),
        ("a.tsv", "a\tb\tc\n", ["a.tsv:1 has 3 columns, not 2"]),
        ("a.jsonl", '{"en": "x", "de": "y"}\n{"en": "x"}\n', ["a.jsonl:2 has 1 fields"]),
        ("a.jsonl", '{"en": "x", "de": 5}\n', ["Field 'de' of", "a.jsonl:1 is not text"]),
        ("a.jsonl", '{"a": "x", "b": "y", "c": "z"}\n', ["has 3 fields (a, b, c)", "seq2seq.source_key="]),
        ("a.tsv", "", ["a.tsv holds no sentence pairs"]),
        ("a.txt", "one\n", ["a.txt is no file of two columns", "SOURCE"]),
        ("a.parquet", "nothing of the kind", ["a.parquet is not a whole Parquet file"]),
    ],
)
def test_files_that_are_no_pairs(tmp_path, name, content, words):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(LimpidError) as caught:
        texts(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_column_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "a.tsv").write_text("english\tgerman\nx\ty\n", encoding="utf-8")
    with pytest.raises(LimpidError, match="no field 'englich'. Did you mean 'english'"):
        texts(str(tmp_path / "a.tsv"), source_key="englich", target_key="german")


def test_splits_are_taken_out_of_one_file_where_there_are_no_others(tmp_path):
    path = tmp_path / "all.tsv"
    path.write_text("".join(f"s{i}\tt{i}\n" for i in range(100)), encoding="utf-8")
    splits = {name: [p.source for p in read()] for name, read in pair_splits(str(path)).items()}
    assert {name: len(found) for name, found in splits.items()} == {"train": 90, "validation": 5, "test": 5}
    assert sorted(text for part in splits.values() for text in part) == sorted(f"s{i}" for i in range(100))
    given = pair_splits(str(path), validation=str(path))
    assert [len(list(given[name]())) for name in ("train", "validation", "test")] == [95, 100, 5]


def test_the_catalogue_says_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.delenv("LIMPID_DATA_DIR", raising=False)
    monkeypatch.setenv("LIMPID_CACHE_DIR", str(tmp_path))
    with pytest.raises(LimpidError, match="run 'limpid data fetch multi30k-en-de'"):
        pair_splits("multi30k-en-de")
    with pytest.raises(LimpidError, match="No such file"):
        texts(str(tmp_path / "absent.tsv"))


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="LIMPID_DATA_DIR names no data sets")
def test_multi30k_is_whole():
    splits = pair_splits("multi30k-en-de")
    assert [len(list(splits[name]())) for name in ("train", "validation", "test")] == [29_000, 1_014, 1_000]
