"""Labelled tables as their origins write them, made into tab-separated ones with a header."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

Rows = Iterator[Sequence[str]]


class Table(NamedTuple):
    """How a fetched file is kept: under these ``columns``, with the ``rows`` that are found in its text."""

    columns: tuple[str, ...]
    rows: Callable[[str], Rows]

    def converted(self, raw: bytes) -> bytes:
        """The bytes of the tab-separated file. A text that is no UTF-8 is Latin-1 (TREC's has one such letter).

        Raises:
            ValueError: a row is not of that form.
        """
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        lines = ["\t".join(self.columns)]
        for number, row in enumerate(self.rows(text.replace("\r\n", "\n")), start=1):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} fields, not {len(self.columns)}")
            lines.append("\t".join(" ".join(field.split("\t")) for field in row))
        return ("\n".join(lines) + "\n").encode()


def _label_first(text: str) -> Rows:
    """``1 a fine film .``"""
    for line in text.splitlines():
        label, _, sentence = line.partition(" ")
        yield sentence, label


def _two_labels_first(text: str) -> Rows:
    """``NUM:dist How far is it ?``"""
    for line in text.split("\n"):
        if line.strip():
            labels, _, question = line.partition(" ")
            coarse, _, fine = labels.partition(":")
            yield question.strip(), coarse, fine


def _glue_pairs(text: str) -> Rows:
    """GLUE's tables: a number, two sentences, a label; a header; no quoting."""
    for line in text.split("\n")[1:]:
        if line:
            yield line.split("\t")[1:]


def _quoted_pairs(text: str) -> Rows:
    """Comma-separated sentences and a score, without a header; HTML's entities are undone."""
    for row in csv.reader(io.StringIO(text)):
        yield [" ".join(html.unescape(field).splitlines()) for field in row]


SENTIMENT = Table(("sentence", "label"), _label_first)
QUESTIONS = Table(("question", "label", "fine_label"), _two_labels_first)
ENTAILMENT = Table(("premise", "hypothesis", "label"), _glue_pairs)
SIMILARITY = Table(("sentence1", "sentence2", "score"), _quoted_pairs)
