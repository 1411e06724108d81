"""The documented public functions and classes of the standard library, each as one short record."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from limpid.data.document import Split
from limpid.data.python_docs.clean import plain
from limpid.data.python_docs.layout import splits
from limpid.data.python_docs.source import Entry, Module, modules

# Other systems' halves of modules, and folders whose names are not for users.
_NOT_FOR_USERS = {"ntpath", "genericpath", "nturl2path", "sre_compile", "sre_constants", "sre_parse", "distutils"}


class FunctionDoc(NamedTuple):
    """What the documentation says of a public function or class, in one sentence."""

    name: str  # "dedent"
    module: str  # "textwrap": the public module, where a package re-exports the name
    signature: str  # "dedent(text)"
    summary: str  # "Remove any common leading whitespace from every line in text."
    split: Split  # of the module's text in the corpus
    unique: bool  # no other public module defines the name


@cache
def functions() -> tuple[FunctionDoc, ...]:
    """Every public function and class with a docstring whose first sentence can be read, sorted by name and module."""
    by_name = {module.name: module for module in modules()}
    homes: dict[str, set[str]] = {}
    found: dict[tuple[str, str], FunctionDoc] = {}
    for module in modules():
        for entry in module.entries:
            if entry.kind == "comment" or "." in entry.name or entry.name.startswith("_"):
                continue
            home = _home(module, entry.name, by_name)
            if home is None:
                continue
            homes.setdefault(entry.name, set()).add(home)
            if summary := summarize(entry):
                doc = FunctionDoc(
                    entry.name, home, entry.signature, summary, splits().get(home.split(".")[0], "train"), True
                )
                found.setdefault((entry.name, home), doc)
    return tuple(doc._replace(unique=len(homes[doc.name]) == 1) for _, doc in sorted(found.items()))


def summarize(entry: Entry) -> str:
    """The first sentence of the docstring on one line, ending with a period; "" where it has none."""
    paragraphs = plain(entry.text).split("\n\n")
    lines = [line.strip() for line in paragraphs[0].split("\n")]
    if re.match(rf"{re.escape(entry.name)} ?\(", lines[0]):  # "fill(text : string) -> string"
        rest = re.sub(r"^[^-]*-+>? *[\w.]* *[-:.]* *", "", lines[0]) if len(lines) == 1 else ""
        lines = lines[1:] or (paragraphs[1].split("\n") if len(paragraphs) > 1 and not rest else [rest])
    text = " ".join(" ".join(lines).split()).removeprefix(f"{entry.name} - ")
    sentence = re.split(r"(?<=[^.][.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!cf\.) +|; | -- ", text)[0]
    sentence = sentence.rstrip(" .:;,!?")
    return sentence[:1].upper() + sentence[1:] + "." if sentence else ""


def _home(module: Module, name: str, by_name: dict[str, Module]) -> str | None:
    """The shortest public module name under which users reach ``name``; None where it is private."""
    parts = module.name.split(".")
    for depth in range(1, len(parts)):
        package = by_name.get(".".join(parts[:depth]))
        if package is None or (package.exports is not None and name not in package.exports):
            continue
        if any(part.startswith("_") for part in parts[:depth]):
            continue
        exported = module.exports is None or name in module.exports
        if (module.name, name) in package.reexports or (exported and (module.name, "*") in package.reexports):
            return package.name
    private = any(part.startswith("_") and part != "__future__" for part in parts) or parts[0] in _NOT_FOR_USERS
    if private or parts[-1] == "__main__" or (module.exports is not None and name not in module.exports):
        return None
    return module.name
