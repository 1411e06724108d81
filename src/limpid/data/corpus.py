"""A name or a path resolved to the three splits of a corpus: what ``data.path=`` means.

Every split is an iterable that reads its files anew each time, so a corpus need not fit in memory; the same path gives
the same splits always.
"""

from __future__ import annotations

import glob
import importlib
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from limpid.core.errors import LimpidError, did_you_mean
from limpid.data import sources
from limpid.data.catalogue import CATALOGUE, Entry, find_entry, find_layout
from limpid.data.document import Document, Split
from limpid.data.hub import open_hub
from limpid.data.split_names import SPLIT_NAMES

TWENTY = 20
"""A corpus is divided in twentieths: 18 for training, 1 for validation, 1 for the test."""

BUILT_IN = {"python-docs": "limpid.data.python_docs", "addition": "limpid.data.addition"}
"""Corpora that are made here: name -> the module that makes them."""

MANY_DOCUMENTS = 20
"""From this many on whole documents go to one split; fewer are each cut."""

MIN_CHARACTERS = 40
"""What a text must hold for each twentieth of it to hold something."""

Read = Callable[[], Iterator[Document]]


@dataclass(frozen=True)
class Part:
    """The twentieths from `low` up to `high` of what `read` gives, of whole documents or of each one's characters."""

    read: Read
    low: int = 0
    high: int = TWENTY
    cut: bool = False  # cut each document by characters, instead of taking or leaving it
    at_line_breaks: bool = True  # where cut: at the line break nearest to the share, if one is near

    def __iter__(self) -> Iterator[Document]:
        if (self.low, self.high) == (0, TWENTY):
            yield from self.read()
        elif self.cut:
            for text, source in self.read():
                begin, end = (self._place(text, twentieth) for twentieth in (self.low, self.high))
                if begin < end:
                    yield Document(text[begin:end], source)
        else:
            slots: list[int] = []
            for index, document in enumerate(self.read()):
                if index % TWENTY == 0:  # every twenty documents are dealt out anew, by a seed of their own
                    slots = random.Random(index).sample(range(TWENTY), TWENTY)
                if self.low <= slots[index % TWENTY] < self.high:
                    yield document

    def _place(self, text: str, twentieth: int) -> int:
        """The character where that share of `text` ends."""
        place = len(text) * twentieth // TWENTY
        if not self.at_line_breaks or twentieth in (0, TWENTY):
            return place
        reach = len(text) // (4 * TWENTY)
        after = text.find("\n", place, place + reach) + 1
        before = text.rfind("\n", place - reach, place) + 1
        near = [candidate for candidate in (before, after) if candidate]
        return min(near, key=lambda candidate: abs(candidate - place), default=place)


def resolve(name_or_path: str, *, text_key: str = "text") -> dict[Split, Iterable[Document]]:
    """The splits of a corpus: ``python-docs``, ``addition``, a name of the catalogue, ``hub:OWNER/NAME``, or a file,
    folder or glob.

    * A folder whose file names say train, valid/val/validation/dev or test is split as they say; a split that is not
      there is taken from training (validation) or is the validation split (test).
    * Else 20 documents or more are dealt out 90/5/5, whole, by their number in the order of reading; fewer are each cut
      in 90/5/5 of their characters, at a line break where one is near.
    * A name of the catalogue is split as its entry says (tinyshakespeare: the first 90% and the last 10%, which then
      serves as test as well). Files are looked for in ``$LIMPID_DATA_DIR`` first, then where ``limpid data fetch`` puts
      them. `text_key` other than "text" takes that field instead of the entry's own way of writing a row.

    Raises LimpidError at once for a name or path that does not exist or holds too little; for bad rows when read.
    """
    if name_or_path in BUILT_IN:
        built: dict[Split, Iterable[Document]] = importlib.import_module(BUILT_IN[name_or_path]).corpus()
        return built
    if name_or_path.startswith("hub:"):
        return _hub(name_or_path, text_key)
    if any(entry.name == name_or_path for entry in CATALOGUE):
        return _from_catalogue(find_entry(name_or_path), text_key)
    try:
        files = sources.find_files(name_or_path)
    except LimpidError as err:
        if "/" in name_or_path or glob.has_magic(name_or_path):
            raise
        known = [entry.name for entry in CATALOGUE] + [path.name for path in Path().iterdir()]
        hint = did_you_mean(name_or_path, known)
        if not hint.startswith(" Did"):
            hint = f" The data sets are: {', '.join(entry.name for entry in CATALOGUE)}."
        raise LimpidError(f"No file, folder or data set '{name_or_path}'.{hint}") from err
    named_files = files_by_split(files) if Path(name_or_path).expanduser().is_dir() else None
    if named_files is None:
        return _divide(lambda: sources.documents(name_or_path, text_key=text_key), name_or_path)
    return _assemble({split: _reader(paths, text_key) for split, paths in named_files.items()}, name_or_path)


def _reader(files: list[Path], text_key: str) -> Read:
    def read() -> Iterator[Document]:
        for file in files:
            yield from sources.file_documents(file, text_key=text_key)

    return read


def files_by_split(files: list[Path]) -> dict[Split, list[Path]] | None:
    """Files by the split that their names tell, or None unless there is training and one other."""
    found: dict[Split, list[Path]] = {}
    other: list[Path] = []
    for file in files:
        words = re.split(r"[^a-z]+", file.name.lower())
        splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
        if len(splits) == 1:
            found.setdefault(splits.pop(), []).append(file)
        else:
            other.append(file)
    if "train" not in found or len(found) < 2:
        return None
    stray = [file for file in other if not re.match(r"(?i)readme|licen[cs]e|copying", file.name)]
    if stray:
        raise LimpidError(
            f"Other files of the folder are named for training and testing, but {stray[0]} is named for neither: "
            "rename it (train, validation or test in its name) or move it away."
        )
    return found


def _assemble(parts: dict[Split, Read], name: str) -> dict[Split, Iterable[Document]]:
    """Splits from named files: what is missing is taken from training, and validation serves as test."""
    if "validation" not in parts:
        divided = _divide(parts["train"], name, test=False)
        return {**divided, "test": Part(parts["test"])} if "test" in parts else divided
    splits: dict[Split, Iterable[Document]] = {split: Part(read) for split, read in parts.items()}
    splits.setdefault("test", splits["validation"])
    _refuse_empty(splits, name)
    return splits


def _divide(read: Read, name: str, *, test: bool = True) -> dict[Split, Iterable[Document]]:
    """One stream of documents in 90/5/5, or in 95/5 with validation as test as well when `test` is False."""
    first = list(islice(read(), MANY_DOCUMENTS))
    whole = Part(read, cut=len(first) < MANY_DOCUMENTS)
    longest = max((len(document.text) for document in first), default=0)
    if whole.cut and longest < MIN_CHARACTERS:
        raise LimpidError(
            f"{name} has too little to train on and to keep some for validation: its longest text is {longest} "
            f"long, in characters, and needs {MIN_CHARACTERS}. Give data.path= a longer text."
        )
    last = TWENTY - 1 if test else TWENTY
    validation = replace(whole, low=last - 1, high=last)
    return {
        "train": replace(whole, high=last - 1),
        "validation": validation,
        "test": replace(whole, low=last) if test else validation,
    }


def _refuse_empty(splits: dict[Split, Iterable[Document]], name: str) -> None:
    for split, part in splits.items():
        if next(iter(part), None) is None:
            raise LimpidError(f"The {split} files of {name} hold no text: give files with something in them.")


# Names of the catalogue ---------------------------------------------------------------------------------------------


def _from_catalogue(entry: Entry, text_key: str) -> dict[Split, Iterable[Document]]:
    layout = find_layout(entry)
    if layout is None:
        raise LimpidError(
            f"The data set '{entry.name}' is not on this machine: run 'limpid data fetch {entry.name}' "
            f"({entry.size_bytes / 1e6:.1f} MB), or give a text of your own with data.path=."
        )
    if entry.rule == "90/10":
        whole = Part(_reader(layout["train"], text_key), cut=True, at_line_breaks=False)
        rest = replace(whole, low=18)
        return {"train": replace(whole, high=18), "validation": rest, "test": rest}
    own_way = entry.render is not None and text_key == "text"
    parts = {split: _rendered(entry, files) if own_way else _reader(files, text_key) for split, files in layout.items()}
    if own_way and entry.holdout_key is not None and "validation" not in parts:
        parts["train"] = _without(parts["train"], parts["test"], entry.holdout_key)
    return _assemble(parts, entry.name)


def _rendered(entry: Entry, files: list[Path]) -> Read:
    render = entry.render
    assert render is not None

    def read() -> Iterator[Document]:
        for file in files:
            for fields, source in sources.records(file):
                try:
                    text = render(fields)
                except (KeyError, TypeError) as err:
                    raise LimpidError(
                        f"{source} is not a row of {entry.name} ({err}): fetch the data set again."
                    ) from err
                if text:
                    yield Document(text, source)

    return read


def _without(read: Read, held_out: Read, key: Callable[[str], str]) -> Read:
    """`read` less what shares its key with a text held out or with an earlier text."""

    def chosen() -> Iterator[Document]:
        seen = {key(document.text) for document in held_out()}
        for document in read():
            if (mark := key(document.text)) not in seen:
                seen.add(mark)
                yield document

    return chosen


# The Hugging Face hub -----------------------------------------------------------------------------------------------


def _hub(path: str, text_key: str) -> dict[Split, Iterable[Document]]:
    parts = {split: _hub_reader(rows, f"{path}/{split}", text_key) for split, rows in open_hub(path).items()}
    if len(parts) == 1:
        return _divide(parts["train"], path)
    return _assemble(parts, path)


def _hub_reader(stream: Iterable[dict[str, Any]], name: str, text_key: str) -> Read:
    def read() -> Iterator[Document]:
        pick = sources.TextPicker(text_key)
        for number, row in enumerate(stream, start=1):
            record = sources.Record(row, f"{name}, row {number}")
            if (text := pick(record)) and not text.isspace():
                yield Document(text, record.source)

    return read
