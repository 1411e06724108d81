"""Examples of a task out of tables: CSV, TSV, JSON, JSONL and Parquet files whose columns the user names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.seeding import generator
from limpid.data import sources
from limpid.data.catalogue import CATALOGUE, data_folders, find_entry, find_layout
from limpid.data.corpus import files_by_split
from limpid.data.document import SPLITS, Split
from limpid.data.sources import Record
from limpid.text.task_inputs import Form

HELD_OUT = 0.1
"""The share of the training examples that validates, and another that tests, where no files are named for it."""


class Columns(NamedTuple):
    """Which columns hold what.

    text: the text, the first of a pair, or the context of choices. second: the other text of a pair. choices: one
    column that holds a list of texts, or a column for each. label: the class, the score, or the index of the right
    choice. scores: whether labels are numbers to be predicted.
    """

    form: Form
    text: str
    second: str | None
    choices: str | Sequence[str] | None
    label: str
    scores: bool


class Example(NamedTuple):
    """texts: one; two; or a context and its choices. label: as written; the float or the choice's index where that is
    meant. source: ``FILE:LINE``."""

    texts: tuple[str, ...]
    label: str | float | int
    source: str


def task_splits(path: str, columns: Columns) -> dict[Split, list[Example]]:
    """The examples of a catalogue entry, a folder whose file names say train, dev and test, or of any other files.

    What is not there is looked for in the folders of the catalogue's files (``$LIMPID_DATA_DIR`` first).
    Where no file is named for it, validation is a tenth of the training examples, drawn by a seed of its own; so is the
    test where there is neither, else it is the validation split. Every split keeps the order of its files.

    Raises:
        LimpidError: nothing there; a split without examples; a row that is not what `columns` says (file and line).
    """
    files = _files(path)
    splits = {split: [e for f in files[split] for e in read_examples(f, columns)] for split in SPLITS if split in files}
    for split, examples in splits.items():
        if not examples:
            raise LimpidError(f"{', '.join(map(str, files[split]))} holds no examples: a header and rows are wanted.")
    if "validation" not in splits:
        alone = "test" not in splits
        order = generator(0, "held out").permutation(len(splits["train"]))
        share = max(1, round(HELD_OUT * len(order)))
        if len(order) < 2 + share * (1 + alone):
            raise LimpidError(f"{path} holds {len(order)} examples: too few to hold some out for validation.")
        parts = {"validation": order[:share], "train": order[share:]}
        if alone:
            parts |= {"test": order[share : 2 * share], "train": order[2 * share :]}
        whole = splits["train"]
        splits |= {split: [whole[i] for i in sorted(picked)] for split, picked in parts.items()}  # type: ignore[misc]
    return {
        "train": splits["train"],
        "validation": splits["validation"],
        "test": splits.get("test", splits["validation"]),
    }


def read_examples(file: Path, columns: Columns) -> list[Example]:
    """The examples of one file."""
    return [_example(record, columns) for record in sources.records(file)]


class Labels:
    """The classes of a task, in order: numbers by size, names by the alphabet."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._index = {name: i for i, name in enumerate(names)}

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Labels:
        """The labels of the training examples. LimpidError where they are all the same."""
        found = {str(example.label) for example in examples}
        if len(found) < 2:
            raise LimpidError(
                f"all {len(examples)} training examples have the label '{found.pop()}': "
                "there is nothing to tell apart; check classify.label."
            )
        return cls(sorted(found, key=lambda name: (_number(name) is None, _number(name) or 0.0, name)))

    def index(self, example: Example) -> int:
        """The number of the example's class. LimpidError for a label that training did not have."""
        found = self._index.get(str(example.label))
        if found is None:
            shown = ", ".join(self.names[:20]) + (" …" if len(self.names) > 20 else "")
            raise LimpidError(
                f"{example.source} has the label '{example.label}', which no training example has (those are: {shown})."
            )
        return found


def _files(path: str) -> dict[Split, list[Path]]:
    if any(entry.name == path for entry in CATALOGUE):
        layout = find_layout(find_entry(path))
        if layout is None:
            raise LimpidError(f"the data set {path} is not on this machine: run limpid data fetch {path} first.")
        return {split: list(paths) for split, paths in layout.items()}
    shared = [folder / path for folder in data_folders() if (folder / path).exists()]
    if shared and not Path(path).expanduser().exists():
        path = str(shared[0])
    found = sources.find_files(path)
    named = files_by_split(found) if Path(path).expanduser().is_dir() else None
    return named or {"train": found}


def _example(record: Record, columns: Columns) -> Example:
    texts = [_text(record, columns.text, "classify.text")]
    if columns.form in ("pair", "similarity"):
        texts.append(_text(record, columns.second, "classify.second"))
    elif columns.form == "choice":
        texts += _choices(record, columns.choices)
    label = _field(record, columns.label, "classify.label")
    if columns.form == "choice":
        return Example(tuple(texts), _choice_index(label, len(texts) - 1, columns.label, record.source), record.source)
    if columns.scores:
        number = _number(label)
        if number is None:
            raise LimpidError(f"column '{columns.label}' of {record.source} is {label!r}: a number is wanted.")
        return Example(tuple(texts), number, record.source)
    if label is None or isinstance(label, list | dict) or not str(label).strip():
        raise LimpidError(f"column '{columns.label}' of {record.source} holds no label ({label!r}).")
    return Example(tuple(texts), str(label), record.source)


def _field(record: Record, column: str | None, key: str) -> Any:
    fields: Mapping[str, Any] = record.fields
    if column is None:
        raise LimpidError(f"{key} is not set: name the column of {record.source} ({', '.join(fields)}).")
    if column not in fields:
        there = f"it has: {', '.join(fields) or 'none'}"
        near = did_you_mean(column, fields)
        hint = near if near.startswith(" Did") else f" Set {key}=."
        raise LimpidError(f"{record.source} has no column '{column}' ({there}).{hint}")
    return fields[column]


def _text(record: Record, column: str | None, key: str) -> str:
    return _whole(_field(record, column, key), f"column '{column}' of {record.source}")


def _whole(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise LimpidError(f"{where} is {type(value).__name__} {str(value)[:40]!r}: a text is wanted.")
    if not sources.is_whole(value):
        raise LimpidError(f"{where} holds half of a surrogate pair, which is no character: mend the row.")
    return value


def _choices(record: Record, columns: str | Sequence[str] | None) -> list[str]:
    if columns is None or isinstance(columns, str):
        found = _field(record, columns, "classify.choices")
        where = f"column '{columns}' of {record.source}"
        if not isinstance(found, list) or len(found) < 2:
            raise LimpidError(f"{where} is no list of two texts or more; for a column each, name them all in a list.")
        return [_whole(choice, where) for choice in found]
    return [_text(record, column, "classify.choices") for column in columns]


def _choice_index(label: Any, choices: int, column: str, source: str) -> int:
    number = _number(label)
    if number is None or number != int(number) or not 0 <= number < choices:
        raise LimpidError(
            f"column '{column}' of {source} is {label!r}: the right choice as a number, 0 to {choices - 1}, is wanted."
        )
    return int(number)


def _number(value: Any) -> float | None:
    """The value as a finite number, or None."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
