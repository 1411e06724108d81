r"""Sentence pairs out of files: two line-aligned files, or one of two columns (TSV, CSV, JSONL, JSON, Parquet).

Read as `sources` reads: strict UTF-8 in blocks, gzipped or not, errors naming the file and the line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.paths import describe_os_error
from limpid.data.catalogue import CATALOGUE, find_entry, find_layout
from limpid.data.decode import lines
from limpid.data.document import SPLITS, Split
from limpid.data.sources import find_files, is_whole, records

PairPath = str | tuple[str, str]
"""A file of two columns, or the files of the source's and the target's lines."""

HELD_OUT_EVERY = 20
"""Without files of their own, every 20th pair goes to validation and the one after it to test."""


class Pair(NamedTuple):
    """A sentence, its translation, and where they stand (``FILE:LINE``)."""

    source: str
    target: str
    where: str


def pair_splits(
    path: PairPath,
    validation: PairPath | None = None,
    test: PairPath | None = None,
    *,
    source_key: str = "",
    target_key: str = "",
) -> dict[Split, Callable[[], Iterator[Pair]]]:
    """The pairs of each split, to be read as often as needed.

    Args:
        path: training pairs: a catalogue name, a two-column file, or (source file, target file).
        validation, test: likewise, without catalogue names; None: the catalogue's own, else taken out of ``path``.
        source_key, target_key: names of the two columns; empty: a table has no header and two columns, an object has
            two fields, source first.
    """

    def reader(where: PairPath) -> Callable[[], Iterator[Pair]]:
        return lambda: read_pairs(where, source_key=source_key, target_key=target_key)

    if isinstance(path, str) and path in {entry.name for entry in CATALOGUE}:
        return {split: reader(files) for split, files in _catalogue_files(path).items()}

    def part(split: Split) -> Callable[[], Iterator[Pair]]:
        held_out = [place for place, given in ((0, validation), (1, test)) if given is None]

        def pairs() -> Iterator[Pair]:
            for number, pair in enumerate(reader(path)()):
                place = number % HELD_OUT_EVERY
                if {"train": place not in held_out, "validation": place == 0, "test": place == 1}[split]:
                    yield pair

        return pairs

    given = {"train": None, "validation": validation, "test": test}
    return {split: part(split) if (own := given[split]) is None else reader(own) for split in SPLITS}


def read_pairs(path: PairPath, *, source_key: str = "", target_key: str = "") -> Iterator[Pair]:
    """The pairs of ``path``; those of which a side is empty are left out.

    Raises:
        LimpidError: no such file, files of unequal length, a row without two texts (each with its line), or no pair.
    """
    found = False
    for pair in _raw_pairs(path, source_key, target_key):
        if pair.source.strip() and pair.target.strip():
            found = True
            yield pair
    if not found:
        raise LimpidError(f"{path if isinstance(path, str) else path[0]} holds no sentence pairs.")


def _raw_pairs(path: PairPath, source_key: str, target_key: str) -> Iterator[Pair]:
    if not isinstance(path, str):
        yield from _aligned(*(_one_file(name) for name in path))
        return
    file = _one_file(path)
    ending = Path(file.name.lower().removesuffix(".gz")).suffix
    if ending in (".jsonl", ".ndjson", ".json"):
        for record in records(file):
            yield _pair_of(record.fields, source_key, target_key, record.source)
    elif ending == ".parquet":
        yield from _parquet(file, source_key, target_key)
    elif ending in (".tsv", ".csv"):
        yield from _table(file, source_key, target_key, "\t" if ending == ".tsv" else ",")
    else:
        raise LimpidError(
            f"{path} is no file of two columns (.tsv, .csv, .jsonl, .json or .parquet): for two line-aligned files "
            f"""write seq2seq.path='["SOURCE", "TARGET"]'."""
        )


def _aligned(source: Path, target: Path) -> Iterator[Pair]:
    """Line n of one file with line n of the other."""
    left, right = lines(source), lines(target)
    number = 0
    while True:
        first, second = next(left, None), next(right, None)
        if first is None and second is None:
            return
        if first is None or second is None:
            short, long = (source, target) if first is None else (target, source)
            raise LimpidError(
                f"{short} ends after line {number:,}, but {long} goes on at line {number + 1:,}: line n of one must "
                "translate line n of the other; mend the files."
            )
        number += 1
        yield Pair(first.rstrip("\n"), second.rstrip("\n"), f"{source}:{number}")


def _table(file: Path, source_key: str, target_key: str, delimiter: str) -> Iterator[Pair]:
    quoting: Any = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(lines(file), delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] | None = None
    try:
        for row in rows:
            where = f"{file}:{rows.line_num}"
            if not row:
                continue
            if header is None:
                header = row if source_key or target_key else ["source", "target"]
                if source_key or target_key:
                    continue
            if len(row) != len(header):
                raise LimpidError(
                    f"{where} has {len(row)} columns, not {len(header)}: mend the row (a file with a header needs "
                    "seq2seq.source_key= and seq2seq.target_key=)."
                )
            yield _pair_of(dict(zip(header, row, strict=True)), source_key, target_key, where)
    except csv.Error as error:
        raise LimpidError(f"Broken table at {file}:{rows.line_num} ({error}): mend the row.") from None


def _parquet(file: Path, source_key: str, target_key: str) -> Iterator[Pair]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        row = 0
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1024):
            for fields in batch.to_pylist():
                row += 1
                yield _pair_of(fields, source_key, target_key, f"{file}, row {row}")
    except pa.ArrowInvalid as error:
        raise LimpidError(f"{file} is not a whole Parquet file ({str(error)[:120]}): fetch or make it again.") from None
    except OSError as error:
        raise describe_os_error(error, file) from error


def _pair_of(fields: Any, source_key: str, target_key: str, where: str) -> Pair:
    """The two texts of a row; nested objects (``{"translation": {"en": ..., "de": ...}}``) are looked into."""
    if len(fields) == 1 and isinstance(inner := next(iter(fields.values())), dict):
        fields = inner
    if not (source_key and target_key):
        if len(fields) != 2:
            raise LimpidError(
                f"{where} has {len(fields)} fields ({', '.join(fields)}); say which two are meant with "
                "seq2seq.source_key= and seq2seq.target_key=."
            )
        source_key, target_key = fields
    for name in (source_key, target_key):
        if name not in fields:
            raise LimpidError(f"{where} has no field '{name}'.{did_you_mean(name, fields)}")
        if not isinstance(fields[name], str) or not is_whole(fields[name]):
            raise LimpidError(f"Field '{name}' of {where} is not text: mend the row.")
    return Pair(_one_line(fields[source_key]), _one_line(fields[target_key]), where)


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _one_file(path: str) -> Path:
    files = find_files(path)
    if len(files) != 1:
        raise LimpidError(f"{path} is {len(files)} files: sentence pairs are read from one.")
    return files[0]


def _catalogue_files(name: str) -> dict[Split, PairPath]:
    layout = find_layout(entry := find_entry(name))
    if layout is None:
        raise LimpidError(f"the data set '{name}' is not on this machine: run 'limpid data fetch {name}'.")
    if any(len(files) != 2 for files in layout.values()):
        raise LimpidError(f"the data set '{entry.name}' is no sentence pairs; multi30k-en-de is.")
    return {split: (str(files[0]), str(files[1])) for split, files in layout.items()}
