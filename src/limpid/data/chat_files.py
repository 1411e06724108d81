"""Conversations out of files or off the hub, in three splits: what supervised fine-tuning on one's own data reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.data.catalogue import located
from limpid.data.chat_layouts import LAYOUTS, Chat, read_chat
from limpid.data.corpus import TWENTY, files_by_split
from limpid.data.document import Split
from limpid.data.hub import open_hub
from limpid.data.sources import Record, find_files, records

FEW = 40
"""Of fewer conversations none is held out."""
ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

Read = Callable[[], Iterator[Record]]


@dataclass(frozen=True)
class Chats:
    """The conversations that `read` gives, or of them those of the twentieths from `low` up to `high`.

    Which twentieth one belongs to is a hash of its first question, so that conversations that open alike stand on one
    side, and a row stays on its side when others come or go.
    """

    read: Read
    low: int = 0
    high: int = TWENTY

    def __iter__(self) -> Iterator[Chat]:
        for fields, source in self.read():
            chat = read_chat(fields, source)
            if self.low <= _twentieth(chat) < self.high:
                yield chat


def conversations(path: str) -> dict[Split, Iterable[Chat]]:
    """The splits of a file, folder or glob of conversations, of ``hub:OWNER/NAME``, or of a folder of the data folders.

    Files are ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` (each may be .gz) or ``.parquet``; rows are those of
    `chat_layouts`. A folder whose file names say train, validation or test, and a data set of the hub, is split as they
    say. Else, of `FEW` or more, a twentieth of the openings each is held out to validate and to test; where there is a
    test but no validation, only the former. Where there is a validation split and no test, it serves as both.

    Raises:
        LimpidError: at once for what does not exist or holds no conversation; for a bad row, with file, line and field,
            when it is read.
    """
    if path.startswith("hub:"):
        named = {split: _stream(rows, f"{path}/{split}") for split, rows in open_hub(path, "sft.path").items()}
    else:
        named = {split: _reader(files) for split, files in _files(path).items()}
    splits: dict[Split, Iterable[Chat]] = {split: Chats(read) for split, read in named.items()}
    first = list(islice(splits["train"], FEW))
    if not first:
        raise LimpidError(f"{path} holds no conversations: a row is {LAYOUTS}.")
    if len(first) < FEW:
        splits.setdefault("validation", ())
    if "validation" not in splits:
        first_held = TWENTY - (1 if "test" in splits else 2)
        splits["train"] = Chats(named["train"], 0, first_held)
        splits["validation"] = Chats(named["train"], first_held, first_held + 1)
        splits.setdefault("test", Chats(named["train"], first_held + 1, TWENTY))
    splits.setdefault("test", splits["validation"])
    return splits


def _files(path: str) -> dict[Split, list[Path]]:
    path = located(path)
    files = find_files(path, "sft.path")
    named = files_by_split(files) if Path(path).expanduser().is_dir() else None
    for file in (file for group in (named or {"train": files}).values() for file in group):
        if not file.name.lower().removesuffix(".gz").endswith(ENDINGS):
            raise LimpidError(f"{file} is no file of conversations: .jsonl, .json, .csv, .tsv or .parquet is wanted.")
    return named or {"train": files}


def _reader(files: list[Path]) -> Read:
    return lambda: (record for file in files for record in records(file))


def _stream(rows: Iterable[dict[str, object]], name: str) -> Read:
    return lambda: (Record(row, f"{name}, row {number}") for number, row in enumerate(rows, start=1))


def _twentieth(chat: Chat) -> int:
    opening = next(message["content"] for message in chat.messages if message["role"] == "user")
    return int.from_bytes(hashlib.sha256(opening.encode()).digest()[:8]) % TWENTY
