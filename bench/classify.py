"""Sentiment from a decoder pretrained here, against logistic regression on n-grams of the same split.

    LIMPID_DATA_DIR=DIR python -m bench.classify [RUN_DIR] [--json]

DIR holds sst2/{train,dev,test}.tsv, and for pretraining wikitext2/train.txt.gz, books_en/train.jsonl.gz and
chat_en/train.jsonl. RUN_DIR (runs/sst2 unless given) is where the line of recipe `sst2` is or will be: text, then
`pretrain`, then `classify`; a finished stage is kept. The pretraining text is lower-cased, as the sentences are, and
ends with the training sentences without their labels; the held-out sentences are not in it.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.report import Row, arguments, child_environment, console, show, single
from limpid.core.paths import atomic_write_text, runs_dir
from limpid.data.catalogue import data_folders
from limpid.data.sources import SEPARATOR, records

MINUTES = 30


def pretraining_text(data: Path) -> Iterator[str]:
    """Documents: Wikipedia articles, books, conversations, and the training sentences twice."""
    with gzip.open(data / "wikitext2/train.txt.gz", "rt", encoding="utf-8") as stream:
        yield from re.split(r"(?m)^ = [^=].*[^=] = \n", stream.read())
    yield from (record.fields["text"] for record in records(data / "books_en/train.jsonl.gz"))
    for record in records(data / "chat_en/train.jsonl"):
        yield "\n".join(message["content"] for message in record.fields["messages"])
    sentences = "\n".join(record.fields["sentence"] for record in records(data / "sst2/train.tsv"))
    yield from (sentences, sentences)


def make(run: Path, data: Path) -> None:
    """What is missing of text, pretraining and classifier, each in a fresh process."""
    text = run / "text.txt"
    if not text.exists():
        documents = (document.strip().lower() for document in pretraining_text(data))
        atomic_write_text(text, "".join(f"{document}\n{SEPARATOR}\n" for document in documents if document))
    pretrained, classified = run / "pretrain", run / "classify"
    for folder, command in (
        (pretrained, ["pretrain", "sst2", f"data.path={text}"]),
        (classified, ["classify", "train", "sst2", "--from", str(pretrained)]),
    ):
        if not (folder / "summary.json").is_file():
            console.print(f"limpid {' '.join(command)}")
            arguments_ = [sys.executable, "-m", "limpid", *command, "--out", str(folder), "--resume"]
            subprocess.run(arguments_, check=True, env=child_environment(), stdout=sys.stderr)


def rows_of(run: Path) -> list[Row]:
    """Accuracy beside the baseline's, and what both stages took."""
    pretrained, classified = (
        json.loads((run / stage / "summary.json").read_text(encoding="utf-8")) for stage in ("pretrain", "classify")
    )
    mine = classified["measures"]["test accuracy"]
    theirs = classified["baseline"]["measures"]["test accuracy"]
    gain = classified["measures"]["test accuracy above the baseline"]
    console.print(
        f"accuracy {mine['value']:.4f} [{mine['low']:.4f}, {mine['high']:.4f}], baseline {theirs['value']:.4f} "
        f"[{theirs['low']:.4f}, {theirs['high']:.4f}], above it by {gain['value']:.4f} [{gain['low']:.4f}, "
        f"{gain['high']:.4f}]; checkpoint of step {classified['best']['step']} of {classified['steps']}"
    )
    row = Row(
        "SST-2, test accuracy", "", mine["value"], theirs["value"], "logistic regression on 1-2-grams",
        mine["value"] / theirs["value"], (mine["low"] / theirs["value"], mine["high"] / theirs["value"]),
        "above the rival", mine["value"] > theirs["value"],
    )  # fmt: skip
    minutes = (pretrained["seconds"] + classified["seconds"]) / 60
    return [row, single("SST-2, pretraining and classifier", "minutes", minutes, at_most=MINUTES)]


def main() -> None:
    parser = arguments(__doc__ and __doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", nargs="?", default=runs_dir() / "sst2")
    args = parser.parse_args()
    data = next((folder for folder in data_folders() if (folder / "sst2" / "train.tsv").is_file()), None)
    if data is None:
        parser.error("there is no sst2/train.tsv: set LIMPID_DATA_DIR to the folder that holds it")
    make(args.run, data)
    show("Sentiment of film reviews", rows_of(args.run), as_json=args.json)


if __name__ == "__main__":
    main()
