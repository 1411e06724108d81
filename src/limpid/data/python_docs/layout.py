"""Modules and help topics laid out as documents, each paragraph of the library once, and their splits."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from limpid.data.document import SPLITS, Document, Split
from limpid.data.python_docs.clean import plain, prose
from limpid.data.python_docs.source import Module, modules, topics

SHARES: dict[Split, float] = {"test": 0.08, "validation": 0.04}  # of all documentation; the rest is for training
# Always for training, for these are what the conversations of the demo are about.
ANCHORS = {
    "argparse", "ast", "asyncio", "base64", "collections", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "decimal", "enum", "functools", "glob", "heapq", "inspect", "json", "logging", "operator", "os", "pathlib",
    "random", "re", "shutil", "statistics", "string", "subprocess", "tempfile", "textwrap", "threading", "typing",
}  # fmt: skip
WIDTH = 100

Seen = set[str]


class _Part(NamedTuple):
    unit: str  # what is never divided between splits: a topic, or a top-level module with all its submodules
    document: Document
    comments: Document | None


@cache
def _parts() -> tuple[_Part, ...]:
    seen: Seen = set()
    parts = []
    for name, text in sorted(topics().items(), key=lambda item: (-len(item[1]), item[0])):
        if body := _topic(text, seen):
            parts.append(_Part(f"topic {name}", Document(body, f"topic {name}"), None))
    for module in modules():
        if body := _documentation(module, seen):
            notes = _comments(module, seen)
            comments = Document(notes, f"{module.name}, comments") if notes else None
            parts.append(_Part(module.name.split(".")[0], Document(body, module.name), comments))
    return tuple(parts)


@cache
def splits() -> dict[str, Split]:
    """The split of each unit: units in order of their hash, poured into test, then validation, then train."""
    sizes: dict[str, int] = defaultdict(int)
    for unit, document, _ in _parts():
        sizes[unit] += len(document.text.encode())
    whole = sum(sizes.values())
    chosen: dict[str, Split] = dict.fromkeys(sizes, "train")
    room = {split: share * whole for split, share in SHARES.items()}
    for unit in sorted(sizes.keys() - ANCHORS, key=lambda unit: hashlib.sha256(unit.encode()).digest()):
        for split, left in room.items():
            # No unit may fill a quarter of a held-out split: what is measured there should be many modules.
            if left > 0 and sizes[unit] < 0.25 * SHARES[split] * whole:
                chosen[unit] = split
                room[split] -= sizes[unit]
                break
    return chosen


@cache
def _corpus() -> dict[Split, tuple[Document, ...]]:
    found: dict[Split, list[Document]] = {split: [] for split in SPLITS}
    for unit, document, comments in _parts():
        split = splits()[unit]
        found[split].append(document)
        if comments and split == "train":
            found[split].append(comments)
    return {split: tuple(documents) for split, documents in found.items()}


def corpus() -> dict[Split, list[Document]]:
    """The documentation of Python, read from the running interpreter's own files: ``{"train": [Document, ...], ...}``.

    The language reference by topic, then the standard library's docstrings and signatures, one document a module;
    in train, each module's longer comments follow as a document of their own. No paragraph of 60 characters or more
    occurs twice, so none is shared by two splits. Raises LimpidError where Python was installed without its sources.
    """
    return {split: list(documents) for split, documents in _corpus().items()}


def _topic(text: str, seen: Seen) -> str:
    paragraphs = plain(text.strip("\n").replace("|", "")).split("\n\n")
    fresh = _fresh(paragraphs, seen)
    # A topic that is a section of a longer one (they overlap often) would be left in shreds.
    return "\n\n".join(fresh) + "\n" if sum(map(len, fresh)) > 0.5 * sum(map(len, paragraphs)) else ""


def _documentation(module: Module, seen: Seen) -> str:
    parts = _fresh(plain(module.doc).split("\n\n"), seen)
    for entry in module.entries:
        text = plain(entry.text) if entry.kind != "comment" else ""
        if len(text) >= 12 and (fresh := _fresh(text.split("\n\n"), seen)):
            heading = "class " * (entry.kind == "class") + _fit(entry.signature)
            parts.append(heading + "\n" + textwrap.indent("\n\n".join(fresh), "    "))
    return "\n\n".join([f"module {module.name}", *parts]) + "\n" if parts else ""


def _comments(module: Module, seen: Seen) -> str:
    parts, owner = [], ""
    for entry in module.entries:
        text = prose(entry.text) if entry.kind == "comment" else ""
        if text and (fresh := _fresh(text.split("\n\n"), seen)):
            body = "\n".join(f"# {line}".rstrip() for line in "\n\n".join(fresh).split("\n"))
            heading = _fit(entry.signature) + "\n" if entry.name not in ("", owner) else ""
            parts.append(heading + textwrap.indent(body, "    " * bool(entry.name)))
            owner = entry.name
    return "\n\n".join([f"comments in {module.name}", *parts]) + "\n" if parts else ""


def _fresh(paragraphs: list[str], seen: Seen) -> list[str]:
    """The paragraphs not met before, which are noted; short ones ("For example:") may recur."""
    fresh = []
    for paragraph in paragraphs:
        words = " ".join(paragraph.split()).lower()
        if not words or words in seen:
            continue
        if len(words) >= 60:
            seen.add(words)
        fresh.append(paragraph)
    return fresh if any(re.search(r"[a-z]{2}", paragraph) for paragraph in fresh) else []


def _fit(signature: str) -> str:
    """The signature, its middle left out where it would not fit a line."""
    if len(signature) <= WIDTH:
        return signature
    return signature[: WIDTH - 10].rsplit(",", 1)[0] + ", ...)"
