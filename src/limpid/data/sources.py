r"""Documents out of files: text, JSONL, JSON, CSV, TSV and Parquet, one file, a folder or a glob, gzipped or not.

Everything is read as strict UTF-8 in blocks, so a file may be larger than memory (but not a ``.json`` list). A
byte-order mark is dropped and ``\r\n`` becomes ``\n``. Errors name the file and the line or byte.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.paths import describe_os_error
from limpid.data.decode import lines, text_blocks
from limpid.data.document import Document

SEPARATOR = "<|endoftext|>"
"""A line of a plain-text file that is exactly this ends one document and begins the next."""

UNREADABLE = frozenset(
    ".zip .tar .tgz .xz .bz2 .zst .7z .rar .pdf .doc .docx .odt .epub .xls .xlsx .png .jpg .jpeg .gif .webp .mp3 .mp4 "
    ".wav .npy .npz .pt .pth .bin .pkl .pickle .safetensors .gguf .arrow .feather .sqlite .db .pyc .so".split()
)
"""Endings of files that hold no plain text; refused by name, so that the message can say what to do."""

LARGE_BYTES, PART_CHARACTERS = 1 << 28, 1 << 22
"""A plain-text file of more bytes is read as documents of about so many characters, each ended by a line break."""


class Record(NamedTuple):
    """One row of a structured file: its fields, and where it stands (``FILE:LINE``)."""

    fields: Mapping[str, Any]
    source: str


def documents(path: str, *, text_key: str = "text") -> Iterator[Document]:
    """The documents of `path`: a file, a folder (recursive, sorted, hidden names left out) or a glob.

    A plain-text file is one document, or several parted by `SEPARATOR` lines; a very large one is several in any case.
    A row of JSONL, JSON, CSV, TSV or Parquet is one; `text_key` names the field that holds its text, and where no such
    field exists the only text field is taken. Texts of nothing but white space are left out. Raises LimpidError on
    anything unreadable, and when nothing is left.
    """
    files = find_files(path)
    found = False
    for file in files:
        for document in file_documents(file, text_key=text_key):
            found = True
            yield document
    if not found:
        what = f"{files[0]} is empty" if len(files) == 1 else f"The {len(files)} files of {path} hold no text"
        raise LimpidError(f"{what}: give data.path= a text with something in it.")


def find_files(path: str, key: str = "data.path") -> list[Path]:
    """The files that `path`, given as ``key``, stands for, sorted.

    Raises:
        LimpidError: there is none; the nearest name is told.
    """
    here = Path(path).expanduser()
    try:
        if here.is_dir():
            files = sorted(p for p in here.rglob("*") if p.is_file() and not _hidden(p.relative_to(here)))
            if not files:
                raise LimpidError(f"The folder {path} holds no files: put text files there, or give another {key}=.")
            return files
        if here.exists():
            return [here]
        if glob.has_magic(path):
            files = sorted(p for p in map(Path, glob.glob(str(here), recursive=True)) if p.is_file())
            if not files:
                raise LimpidError(f"No file matches {path}: check the pattern ('**' goes into folders), or quote it.")
            return files
        parent = here.parent
        if not parent.is_dir():
            raise LimpidError(f"No such file: {path} (there is no folder {parent}). Check {key}=.")
        near = did_you_mean(here.name, (p.name for p in parent.iterdir())) if here.name else ""
    except OSError as err:
        raise describe_os_error(err, path) from err
    raise LimpidError(f"No such file or folder: {path}." + (near if near.startswith(" Did") else f" Check {key}=."))


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def file_documents(file: Path, *, text_key: str = "text") -> Iterator[Document]:
    """The documents of one file; see `documents`. An empty file gives none."""
    ending = _ending(file)
    if ending == ".parquet":
        yield from _parquet(file, text_key)
    elif ending in _ROWS:
        pick = TextPicker(text_key)
        for record in records(file):
            text = pick(record)
            if text and not text.isspace():
                yield Document(text, record.source)
    else:
        yield from _plain_text(file)


def records(file: Path) -> Iterator[Record]:
    """The rows of a JSONL, JSON, CSV or TSV file (gzipped or not), or of a Parquet file, in order."""
    ending = _ending(file)
    if ending != ".parquet" and ending not in _ROWS:
        raise LimpidError(f"{file} has no columns: .jsonl, .json, .csv, .tsv (each may be .gz) or .parquet is wanted.")
    yield from _parquet_rows(file) if ending == ".parquet" else _ROWS[ending](file)


def _ending(file: Path) -> str:
    """The ending that decides the format, lower case, without a ``.gz``. LimpidError for those we cannot read."""
    name = file.name.lower()
    zipped = name.endswith(".gz")
    ending = Path(name.removesuffix(".gz")).suffix
    if ending in UNREADABLE or (zipped and ending == ".parquet"):
        raise LimpidError(
            f"Cannot read {file}: '{ending}{'.gz' if zipped else ''}' is not supported. Use plain text, .jsonl, .json, "
            ".csv, .tsv (each may be .gz) or .parquet; for some files of a folder, give a glob such as 'DIR/**/*.txt'."
        )
    return ending


# One reader for each format -----------------------------------------------------------------------------------------


def _plain_text(file: Path) -> Iterator[Document]:
    parts: list[str] = []
    begin, separated, held = 1, False, 0
    large = file.stat().st_size > LARGE_BYTES
    for number, line in enumerate(lines(file), start=1):
        if line.rstrip("\n") != SEPARATOR:
            parts.append(line)
            held += len(line)
            if large and held >= PART_CHARACTERS:
                yield Document("".join(parts), f"{file}:{begin}")
                parts, begin, held = [], number + 1, 0
            continue
        separated = True
        if text := "".join(parts).strip("\n"):
            yield Document(text, f"{file}:{begin}")
        parts, begin, held = [], number + 1, 0
    text = "".join(parts)
    if text and not text.isspace():
        yield Document(text.strip("\n"), f"{file}:{begin}") if separated else Document(text, str(file))


def _json_lines(file: Path) -> Iterator[Record]:
    for number, line in enumerate(lines(file), start=1):
        if line.isspace():
            continue
        source = f"{file}:{number}"
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as err:
            raise LimpidError(
                f"Broken JSON at {source} ({_short(err)}): one whole JSON value must stand on each line."
            ) from err
        yield Record(_as_fields(value, source), source)


def _json_list(file: Path) -> Iterator[Record]:
    text = "".join(text_blocks(file))
    if not text or text.isspace():
        return
    try:
        values = json.loads(text)
    except json.JSONDecodeError as err:
        hint = " Is it JSON lines? Then name it .jsonl." if err.msg == "Extra data" else ""
        raise LimpidError(
            f"Broken JSON at {file}:{err.lineno} ({_short(err)}): mend or re-make the file.{hint}"
        ) from err
    except RecursionError as err:
        raise LimpidError(f"{file} is nested too deeply: a list of objects is wanted.") from err
    if not isinstance(values, list):
        raise LimpidError(f"{file} holds a JSON {_kind(values)}: a list of texts or of objects is wanted.")
    for index, value in enumerate(values, start=1):
        source = f"{file}, item {index}"
        yield Record(_as_fields(value, source), source)


def _as_fields(value: Any, source: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    raise LimpidError(f"{source} holds a JSON {_kind(value)}: an object with a text field, or a text, is wanted.")


def _comma_separated(file: Path) -> Iterator[Record]:
    yield from _table(file, delimiter=",", quoting=csv.QUOTE_MINIMAL)


def _tab_separated(file: Path) -> Iterator[Record]:
    yield from _table(file, delimiter="\t", quoting=csv.QUOTE_NONE)  # in TSV a quotation mark is an ordinary character


def _table(file: Path, *, delimiter: str, quoting: Any) -> Iterator[Record]:
    csv.field_size_limit(2**31 - 1)  # the module's default of 128 KiB is less than one long document
    rows = csv.reader(lines(file), delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] = []
    try:
        for row in rows:
            if not row:
                continue
            source = f"{file}:{rows.line_num}"
            if not header:
                header = row
                if len(set(header)) < len(header):
                    raise LimpidError(f"Two columns of {source} have the same name: {', '.join(header)}. Rename one.")
            elif len(row) != len(header):
                raise LimpidError(
                    f"{source} has {len(row)} columns where the header has {len(header)} ({', '.join(header)[:80]}): "
                    "mend the row, or quote what it holds."
                )
            else:
                yield Record(dict(zip(header, row, strict=True)), source)
    except csv.Error as err:
        raise LimpidError(f"Broken table at {file}:{rows.line_num} ({err}): mend the row.") from err


@contextlib.contextmanager
def _whole_parquet(file: Path) -> Iterator[None]:
    """Turns pyarrow's words for a damaged file into ours."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowInvalid as err:
        raise LimpidError(f"{file} is not a whole Parquet file ({_short(err)}): fetch or make it again.") from err
    except OSError as err:
        if err.errno is None:  # pyarrow's own word for damaged contents
            raise LimpidError(f"{file} is a damaged Parquet file ({_short(err)}): fetch or make it again.") from err
        raise describe_os_error(err, file) from err


def _parquet_rows(file: Path) -> Iterator[Record]:
    import pyarrow.parquet as pq

    row = 0
    with _whole_parquet(file):
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1024):
            for fields in batch.to_pylist():
                row += 1
                yield Record(fields, f"{file}, row {row}")


def _parquet(file: Path, text_key: str) -> Iterator[Document]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _whole_parquet(file):
        table = pq.ParquetFile(file)
        names = [
            field.name
            for field in table.schema_arrow
            if pa.types.is_string(field.type)
            or pa.types.is_large_string(field.type)
            or (pa.types.is_dictionary(field.type) and pa.types.is_string(field.type.value_type))
        ]
        key = _choose(text_key, names, list(table.schema_arrow.names), str(file))
        row = 0
        for batch in table.iter_batches(batch_size=1024, columns=[key]):
            for value in batch.column(0).to_pylist():
                row += 1
                source = f"{file}, row {row}"
                text = _checked(value, key, source)
                if text and not text.isspace():
                    yield Document(text, source)


_ROWS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_list,
    ".csv": _comma_separated,
    ".tsv": _tab_separated,
}


# The field that holds the text --------------------------------------------------------------------------------------


class TextPicker:
    """Takes the text out of each record of one file; the field is decided by the first record."""

    def __init__(self, text_key: str) -> None:
        self.wanted = text_key
        self.key: str | None = None

    def __call__(self, record: Record) -> str:
        fields, source = record
        if self.key is None:
            texts = [name for name, value in fields.items() if isinstance(value, str) and not _is_number(value)]
            self.key = _choose(self.wanted, texts, list(fields), source)
        if self.key not in fields:
            raise LimpidError(
                f"{source} has no field '{self.key}' (it has: {', '.join(fields) or 'none'}). Mend the row."
            )
        return _checked(fields[self.key], self.key, source)


def _choose(wanted: str, texts: list[str], names: list[str], source: str) -> str:
    if wanted in names:
        return wanted
    if len(texts) == 1:
        return texts[0]
    listed = ", ".join(texts or names) or "none"
    what = "text fields" if texts else "fields"
    raise LimpidError(
        f"{source} has no field '{wanted}'. Say which one to read with data.text_key= ({what}: {listed})."
    )


def _checked(value: Any, key: str, source: str) -> str:
    if not isinstance(value, str):
        raise LimpidError(
            f"Field '{key}' of {source} is a JSON {_kind(value)}, not text: choose another data.text_key=."
        )
    if not is_whole(value):
        raise LimpidError(
            f"Field '{key}' of {source} holds half of a surrogate pair, which is no character: mend the row."
        )
    return value


def is_whole(text: str) -> bool:
    """Whether every character of `text` can be written as UTF-8: JSON may spell half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind(value: Any) -> str:
    """The JSON name of a Python value's type."""
    names = {
        dict: "object",
        list: "list",
        str: "text",
        bool: "boolean",
        int: "number",
        float: "number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)


def _short(err: BaseException) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:120]
