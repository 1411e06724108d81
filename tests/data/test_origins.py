"""Labelled tables out of the forms their origins have, and the very rows that the prepared files hold."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from limpid.data.origins import ENTAILMENT, QUESTIONS, SENTIMENT, SIMILARITY, Table
from limpid.data.sources import records

CASES = {
    "sst2": (SENTIMENT, b"0 one long string of cliches .\n1 caf\xc3\xa9 , good .\n",
             "sentence\tlabel\none long string of cliches .\t0\ncafé , good .\t1\n"),
    "trec": (QUESTIONS, "NUM:dist How far is it ?\nENTY:animal What is a señora ?\n".encode("latin-1"),
             "question\tlabel\tfine_label\nHow far is it ?\tNUM\tdist\nWhat is a señora ?\tENTY\tanimal\n"),
    "rte": (ENTAILMENT, b'index\tsentence1\tsentence2\tlabel\r\n7\tA "b" c.\tD.\tnot_entailment\r\n',
            'premise\thypothesis\tlabel\nA "b" c.\tD.\tnot_entailment\n'),
    "stsb": (SIMILARITY, b'"A boy, who sings","Tom &amp; Ann\tsay ""no""",2.6\nA.,B.,5.0\n',
             'sentence1\tsentence2\tscore\nA boy, who sings\tTom & Ann say "no"\t2.6\nA.\tB.\t5.0\n'),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_form_becomes_a_table_that_the_reader_reads(name: str, tmp_path: Path) -> None:
    table, given, expected = CASES[name]
    made = table.converted(given)
    assert made.decode() == expected
    file = tmp_path / "made.tsv"
    file.write_bytes(made)
    assert [tuple(record.fields) for record in records(file)] == [table.columns] * (expected.count("\n") - 1)


@pytest.mark.parametrize(("table", "given"), [(ENTAILMENT, b"h\n1\tonly one\n"), (SIMILARITY, b"a,b\n")])
def test_a_row_of_another_form_is_an_error(table: Table, given: bytes) -> None:
    with pytest.raises(ValueError, match="row 1 has . fields, not 3"):
        table.converted(given)


@pytest.mark.skipif("LIMPID_DATA_DIR" not in os.environ, reason="needs the files of LIMPID_DATA_DIR")
def test_the_prepared_files_come_out_of_their_origins_form() -> None:
    """Their rows, written as the origin writes them, give the same bytes again."""
    data = Path(os.environ["LIMPID_DATA_DIR"])

    def quoted(rows: list[tuple[str, ...]]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([f.replace("&", "&amp;") for f in row] for row in rows)
        return text.getvalue()

    ways = {
        "sst2/dev.tsv": (SENTIMENT, lambda rows: "".join(f"{label} {text}\n" for text, label in rows)),
        "sst2/test.tsv": (SENTIMENT, lambda rows: "".join(f"{label} {text}\n" for text, label in rows)),
        "trec_questions/test.tsv": (QUESTIONS, lambda rows: "".join(f"{a}:{b} {text}\n" for text, a, b in rows)),
        "rte/dev.tsv": (ENTAILMENT, lambda rows: "h\n" + "".join(f"1\t{a}\t{b}\t{label}\n" for a, b, label in rows)),
        "stsb/dev.tsv": (SIMILARITY, quoted),
    }
    for name, (table, written) in ways.items():
        rows = [tuple(map(str, record.fields.values())) for record in records(data / name)]
        assert table.converted(written(rows).encode()) == (data / name).read_bytes(), name
