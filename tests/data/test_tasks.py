"""Examples out of tables; every fault of a table is named with its file and line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limpid.core.errors import LimpidError
from limpid.data.tasks import Columns, Labels, read_examples, task_splits

SINGLE = Columns("single", "text", None, None, "label", False)
PAIR = Columns("pair", "a", "b", None, "label", False)
CHOICE = Columns("choice", "query", None, "choices", "answer", False)
ROWS = [{"text": "good, really", "label": "pos"}, {"text": "bad", "label": "neg"}]


def written(folder, name, rows):
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        mark = "," if name.endswith(".csv") else "\t"
        cells = [list(rows[0])] + [list(map(str, row.values())) for row in rows]
        quoted = [[f'"{c}"' if mark in c else c for c in row] for row in cells]
        path.write_text("".join(mark.join(row) + "\n" for row in quoted))
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_the_same_examples_out_of_every_format(tmp_path, name):
    found = read_examples(written(tmp_path, name, ROWS), SINGLE)
    assert [(e.texts, e.label) for e in found] == [(("good, really",), "pos"), (("bad",), "neg")]


def test_a_pair_a_score_and_choices(tmp_path):
    pair = {"a": "one", "b": "two", "label": 3.5}
    (found,) = read_examples(written(tmp_path, "p.jsonl", [pair]), PAIR._replace(scores=True))
    assert (found.texts, found.label) == (("one", "two"), 3.5)
    row = {"query": "q", "choices": ["x", "y", "z"], "answer": 2}
    (found,) = read_examples(written(tmp_path, "c.jsonl", [row]), CHOICE)
    assert (found.texts, found.label) == (("q", "x", "y", "z"), 2)
    row = {"query": "q", "x": "one", "y": "two", "answer": 1}
    (found,) = read_examples(written(tmp_path, "c.csv", [row]), CHOICE._replace(choices=("x", "y")))
    assert (found.texts, found.label) == (("q", "one", "two"), 1)


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (ROWS, SINGLE._replace(text="sentence"), ["a.jsonl:1", "no column 'sentence'", "it has: text, label"]),
        (ROWS, SINGLE._replace(label="labels"), ["no column 'labels'", "Did you mean 'label'"]),
        (ROWS, PAIR._replace(text="text", second=None), ["classify.second is not set", "text, label"]),
        ([{"text": 3, "label": "x"}], SINGLE, ["column 'text' of", "a.jsonl:1", "a text is wanted"]),
        ([*ROWS, {"text": "t", "label": None}], SINGLE, ["a.jsonl:3", "holds no label"]),
        ([{"text": "t", "label": "high"}], SINGLE._replace(scores=True), ["'high'", "a number is wanted"]),
        ([{"query": "q", "choices": ["x", "y"], "answer": 2}], CHOICE, ["a.jsonl:1", "0 to 1"]),
        ([{"query": "q", "choices": ["x"], "answer": 0}], CHOICE, ["no list of two texts"]),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, columns, words):
    with pytest.raises(LimpidError) as caught:
        read_examples(written(tmp_path, "a.jsonl", rows), columns)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_and_a_file_without_columns_are_refused(tmp_path):
    (tmp_path / "empty.tsv").write_text("text\tlabel\n")
    with pytest.raises(LimpidError, match=r"empty.tsv holds no examples"):
        task_splits(str(tmp_path / "empty.tsv"), SINGLE)
    (tmp_path / "plain.txt").write_text("hello")
    with pytest.raises(LimpidError, match="has no columns"):
        task_splits(str(tmp_path / "plain.txt"), SINGLE)
    written(tmp_path, "few.jsonl", ROWS)
    with pytest.raises(LimpidError, match="holds 2 examples: too few"):
        task_splits(str(tmp_path / "few.jsonl"), SINGLE)


def test_a_folder_is_split_by_its_names_and_one_file_by_a_tenth(tmp_path):
    rows = [{"text": f"text {i}", "label": "pn"[i % 2]} for i in range(40)]
    whole = written(tmp_path, "all.jsonl", rows)
    splits = task_splits(str(whole), SINGLE)
    assert {name: len(found) for name, found in splits.items()} == {"train": 32, "validation": 4, "test": 4}
    everything = [e.texts for found in splits.values() for e in found]
    assert sorted(everything) == sorted((row["text"],) for row in rows)
    assert splits == task_splits(str(whole), SINGLE)
    folder = tmp_path / "named"
    folder.mkdir()
    written(folder, "train.tsv", rows)
    written(folder, "test.tsv", rows[:5])
    splits = task_splits(str(folder), SINGLE)
    assert {name: len(found) for name, found in splits.items()} == {"train": 36, "validation": 4, "test": 5}
    written(folder, "dev.tsv", rows[:3])
    assert len(task_splits(str(folder), SINGLE)["validation"]) == 3
    assert len(task_splits(str(folder), SINGLE)["train"]) == 40


def test_a_name_is_looked_for_in_the_data_folder_too(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPID_DATA_DIR", str(tmp_path))
    (tmp_path / "reviews").mkdir()
    written(tmp_path / "reviews", "all.tsv", [ROWS[i % 2] for i in range(20)])
    monkeypatch.chdir(tmp_path / "reviews")
    assert len(task_splits("reviews", SINGLE)["train"]) == 16
    with pytest.raises(LimpidError, match="No such file or folder: views"):
        task_splits("views", SINGLE)


def test_labels_are_those_of_training_numbers_by_size(tmp_path):
    rows = [{"text": "t", "label": label} for label in ("10", "9", "b", "a", "9")]
    found = read_examples(written(tmp_path, "a.tsv", rows), SINGLE)
    labels = Labels.of(found)
    assert labels.names == ("9", "10", "a", "b")
    assert [labels.index(e) for e in found] == [1, 0, 3, 2, 0]
    strange = read_examples(written(tmp_path, "dev.tsv", [*rows[:2], {"text": "t", "label": "c"}]), SINGLE)
    with pytest.raises(LimpidError, match=r"dev.tsv:4 has the label 'c', which no training example has .*9, 10, a, b"):
        [labels.index(e) for e in strange]


def test_one_class_only_is_nothing_to_learn(tmp_path):
    found = read_examples(written(tmp_path, "a.tsv", [ROWS[0]] * 3), SINGLE)
    with pytest.raises(LimpidError, match="all 3 training examples have the label 'pos'"):
        Labels.of(found)
