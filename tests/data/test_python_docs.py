"""The corpus is read from the interpreter's own files: it must be whole, clean, repeatable and leave no trace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from limpid.core.errors import LimpidError
from limpid.data.document import SPLITS
from limpid.data.python_docs import corpus, functions, identifiers
from limpid.data.python_docs import source as source_module
from limpid.data.python_docs.clean import plain, prose

DIGEST = """
import hashlib, sys
before = set(sys.modules)
from limpid.data.python_docs import corpus, functions
digest = hashlib.sha256(repr((corpus(), functions())).encode()).hexdigest()
unwanted = {"turtle", "tkinter", "asyncio", "decimal", "pydoc_data.topics", "smtplib", "torch"}
loaded = sorted(unwanted & (set(sys.modules) - before))
"""


def test_every_process_reads_the_same_and_imports_nothing() -> None:
    here: dict[str, str] = {}
    exec(DIGEST, here)
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONHASHSEED": "12", "PYTHONPATH": path}
    command = [sys.executable, "-c", DIGEST + "print(digest, loaded)"]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert there == f"{here['digest']} []"


def test_splits_are_large_enough_and_share_nothing() -> None:
    texts = {split: [document.text for document in corpus()[split]] for split in SPLITS}
    sizes = {split: sum(len(text.encode()) for text in texts[split]) for split in SPLITS}
    assert sizes["test"] > 150_000
    assert sizes["validation"] > 70_000
    assert sizes["train"] > 2_000_000
    paragraphs = {
        split: {" ".join(p.split()) for text in texts[split] for p in text.split("\n\n") if len(p) > 300}
        for split in SPLITS
    }
    assert not paragraphs["train"] & (paragraphs["test"] | paragraphs["validation"])
    tops = {
        split: {d.source.split(".")[0].split(",")[0] for d in corpus()[split] if not d.source.startswith("topic")}
        for split in SPLITS
    }
    assert not tops["train"] & (tops["test"] | tops["validation"])
    assert not tops["test"] & tops["validation"]


def test_text_is_plain() -> None:
    whole = "".join(document.text for split in SPLITS for document in corpus()[split])
    assert "\r" not in whole
    assert "\t" not in whole
    assert "\n\n\n" not in whole
    assert not re.search(r"copyright \(c\)|all rights reserved|\$Id:|:func:`|:class:`", whole, re.IGNORECASE)
    assert max(map(len, whole.split("\n"))) <= 180
    assert sum(not character.isascii() for character in whole) < 1000


def test_layout_of_a_module() -> None:
    text = next(d.text for d in corpus()["train"] if d.source == "textwrap")
    assert text.startswith("module textwrap\n\nText wrapping and filling.\n\nclass TextWrapper(")
    assert "\n\ndedent(text)\n    Remove any common leading whitespace from every line in text.\n" in text


def test_functions() -> None:
    found = {(f.module, f.name): f for f in functions()}
    dedent = found["textwrap", "dedent"]
    assert dedent.signature == "dedent(text)"
    assert dedent.summary == "Remove any common leading whitespace from every line in text."
    assert dedent.split == "train"
    assert dedent.unique
    assert ("asyncio", "gather") in found
    assert ("os.path", "ismount") in found
    assert list(functions()) == sorted(functions())
    assert all(f.summary.endswith(".") and "\n" not in f.summary for f in functions())
    assert {"dedent", "isinstance", "removeprefix", "makedirs"} <= identifiers()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Call :func:`~a.b.run` with ``x`` and `y`.", "Call run with x and y."),
        ("Keep *args and **kwargs, not *stress* or **weight**.", "Keep *args and **kwargs, not stress or weight."),
        ("Title\n=====\r\n\r\n\r\nText\u2019s end  ", "Title\n\nText's end"),
        ("Copyright (c) 2001 Somebody.\nAll rights reserved.\n\nText.", "Text."),
        ("Written by A. Person <a.person@example.org>\nText.\n$Id: a.py 12 $", ""),
        ("1 2 3 4\n5 6 7 8\n9 0 1 2\n3 4 5 6", ""),
        (">>> f(1)\n[1, 2]", ">>> f(1)\n[1, 2]"),
    ],
)
def test_plain(text: str, cleaned: str) -> None:
    assert plain(text) == cleaned


def test_prose_is_sentences_only() -> None:
    sentences = "This is needed because the lock is held\nby the other thread until it has finished its work."
    assert prose(sentences) == sentences
    assert prose("x = 1\nfor a in b:\n    return a + 1\nimport sys\ny = [1, 2, 3]\nprint(x, y)") == ""
    assert prose("XXX this is wrong and should be mended some day, by someone who knows.") == ""


def test_a_stripped_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(LimpidError, match="is missing") as error:
        source_module.stdlib_folder()
    assert "\n" not in str(error.value)
