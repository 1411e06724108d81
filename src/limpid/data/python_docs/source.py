"""Reading the standard library as text: every module is parsed with ``ast`` once and never imported."""

from __future__ import annotations

import ast
import builtins
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from limpid.core.errors import LimpidError

SKIPPED_FOLDERS = {
    "site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo", "ensurepip",
    "__phello__", "__pycache__", "lib-dynload", "pydoc_data", "_pyrepl",
}  # fmt: skip
SKIPPED_MODULES = {"__hello__", "antigravity", "this", "nturl2path"}

# Python halves of modules that are otherwise written in C: their documentation is the public module's.
PUBLIC_NAMES = {
    "_collections_abc": "collections.abc", "_pydatetime": "datetime", "_pydecimal": "decimal", "_pyio": "io",
    "_pylong": "", "_strptime": "time", "_threading_local": "threading", "_weakrefset": "weakref", "_py_abc": "abc",
    "_py_warnings": "warnings", "posixpath": "os.path",
}  # fmt: skip

Kind = Literal["class", "function", "comment"]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Entry(NamedTuple):
    """One documented thing of a module, in source order; a comment belongs to the definition named ``name``."""

    kind: Kind
    name: str  # "TextWrapper.fill" for a method, "" for a comment at module level
    signature: str  # "TextWrapper.fill(text)"; of what it belongs to for a comment
    text: str  # docstring (dedented), or the comment's lines without their "#"; "" when undocumented


class Module(NamedTuple):
    """What is left of a source file once its syntax tree is thrown away."""

    name: str  # the name users know: "decimal" for _pydecimal.py
    doc: str
    entries: tuple[Entry, ...]
    exports: tuple[str, ...] | None  # __all__, where it is a literal
    reexports: tuple[tuple[str, str], ...]  # (module, name or "*") of every `from module import name`


def stdlib_folder() -> Path:
    """Where this interpreter keeps its library; a LimpidError if its documentation was stripped."""
    folder = Path(sysconfig.get_path("stdlib"))
    for needed in ("pydoc_data/topics.py", "textwrap.py", "argparse.py"):
        if not (folder / needed).is_file():
            raise LimpidError(
                f"The python-docs corpus needs Python's own sources, but {folder / needed} is missing. "
                "Use a complete Python (python.org, uv or pyenv; on Debian: apt install libpython3-stdlib)."
            )
    return folder


@cache
def topics() -> dict[str, str]:
    """The language reference by topic, as ``help("topics")`` shows it: ``{"assert": "The "assert" statement..."}``."""
    path = stdlib_folder() / "pydoc_data" / "topics.py"
    try:
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                found = ast.literal_eval(node.value)
                return {name: found[name] for name in sorted(found)}
    except (OSError, SyntaxError, ValueError) as error:
        raise LimpidError(f"The topics of Python's help cannot be read from {path}: {error}") from error
    raise LimpidError(f"{path} holds no topics: this Python's documentation is incomplete.")


def _files() -> Iterator[tuple[str, Path]]:
    """(dotted module name, file) of every module worth reading, sorted."""
    root = stdlib_folder()
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS and not n.startswith(("config-", ".")))
        parents = Path(folder).relative_to(root).parts
        if parents and not all(part.isidentifier() for part in parents):
            names[:] = []
            continue
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)
            if suffix != ".py" or not stem.isidentifier() or stem in SKIPPED_MODULES:
                continue
            parts = parents if stem == "__init__" else (*parents, stem)
            if parts[0] == "encodings" and len(parts) > 1:  # character maps
                continue
            if parts[0].startswith("_") and parts[0] not in PUBLIC_NAMES and parts[0] != "__future__":
                continue
            yield ".".join(parts), Path(folder, file)


@cache
def _read() -> tuple[tuple[Module, ...], frozenset[str]]:
    modules, words = [], set[str]()
    for name, path in _files():
        try:
            data = path.read_bytes()
            tree = ast.parse(data)
            lines = data.decode("utf-8").splitlines()
        except (OSError, SyntaxError, ValueError):
            continue  # a template, or a file in another encoding
        words.update(re.findall(r"[A-Za-z_]\w*", "\n".join([name, *lines])))
        public = PUBLIC_NAMES.get(name, name)
        if public:
            modules.append(_module(public, tree, lines))
    if len(modules) < 100:
        raise LimpidError(f"Only {len(modules)} modules of Python's library could be read in {stdlib_folder()}.")
    for text in topics().values():
        words.update(re.findall(r"[A-Za-z_]\w*", text))
    for loaded in (builtins, sys, *(sys.modules[m] for m in ("posix", "nt", "time") if m in sys.modules)):
        for word in dir(loaded):
            words.update((word, *dir(getattr(loaded, word))) if loaded is builtins else (word,))
    return tuple(modules), frozenset(words)


def modules() -> tuple[Module, ...]:
    """Every readable module of the standard library, sorted by file."""
    return _read()[0]


def identifiers() -> frozenset[str]:
    """Every word of the standard library's sources that could be a name, and the built-in names."""
    return _read()[1]


def _module(name: str, tree: ast.Module, lines: list[str]) -> Module:
    entries: list[tuple[int, Entry]] = []
    spans: list[tuple[int, int, str]] = []  # (first line, last line, name) of every definition
    _collect(tree.body, "", entries, spans)
    signatures = {entry.name: entry.signature for _, entry in entries}
    for line, block in _comments(tree, lines):
        inside = [span for span in spans if span[0] <= line <= span[1]]
        owner = max(inside)[2] if inside else ""
        entries.append((line, Entry("comment", owner, signatures.get(owner, ""), block)))
    entries.sort(key=lambda item: item[0])
    exports, reexports = None, []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            with suppress(ValueError):  # computed: nothing is known
                exports = tuple(ast.literal_eval(node.value))
        if isinstance(node, ast.ImportFrom):
            base = name if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            reexports += [(source, alias.name) for alias in node.names if alias.asname in (None, alias.name)]
    if re.search(r"^\s*__all__(?: *\+=|\.(?:extend|append)\()", "\n".join(lines), re.MULTILINE):
        exports = None  # the literal is not the whole of it
    return Module(name, ast.get_docstring(tree) or "", tuple(e for _, e in entries), exports, tuple(reexports))


def _collect(
    body: list[ast.stmt], prefix: str, entries: list[tuple[int, Entry]], spans: list[tuple[int, int, str]]
) -> None:
    for node in body:
        if isinstance(node, Definition):
            kind: Kind = "class" if isinstance(node, ast.ClassDef) else "function"
            name = prefix + node.name
            spans.append((node.lineno, node.end_lineno or node.lineno, name))
            signature = _signature(node, name, method=bool(prefix))
            entries.append((node.lineno, Entry(kind, name, signature, ast.get_docstring(node) or "")))
            if isinstance(node, ast.ClassDef):
                _collect(node.body, name + ".", entries, spans)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, part, ()):
                    _collect(inner.body if isinstance(inner, ast.ExceptHandler) else [inner], prefix, entries, spans)


def _signature(node: Definition, name: str, method: bool) -> str:
    """``name(arguments)`` without annotations and without ``self``; a class is called as its ``__init__`` says."""
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                return _signature(inner, name, method=True)
        return name
    decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    if decorators & {"property", "cached_property"}:
        return name
    arguments = ast.arguments(
        posonlyargs=[ast.arg(a.arg) for a in node.args.posonlyargs],
        args=[ast.arg(a.arg) for a in node.args.args],
        vararg=ast.arg(node.args.vararg.arg) if node.args.vararg else None,
        kwonlyargs=[ast.arg(a.arg) for a in node.args.kwonlyargs],
        kw_defaults=node.args.kw_defaults,
        kwarg=ast.arg(node.args.kwarg.arg) if node.args.kwarg else None,
        defaults=node.args.defaults,
    )
    if method and "staticmethod" not in decorators:
        first = arguments.posonlyargs or arguments.args
        if first and len(arguments.defaults) < len(arguments.posonlyargs) + len(arguments.args):
            del first[0]
    return f"{name}({ast.unparse(arguments)})"


def _comments(tree: ast.Module, lines: list[str]) -> Iterator[tuple[int, str]]:
    """(line number, text) of every block of two or more whole-line comments that is not inside a string."""
    quoted: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno and node.end_lineno > node.lineno:
            quoted.update(range(node.lineno, node.end_lineno + 1))
    block: list[str] = []
    column = -1
    for number, line in enumerate([*lines, ""], start=1):
        bare = line.lstrip()
        is_comment = bare.startswith("#") and not bare.startswith("#!") and number not in quoted
        if not is_comment or len(line) - len(bare) != column:
            if len(block) > 1:
                yield number - len(block), "\n".join(block)
            block = []
        if is_comment:
            column = len(line) - len(bare)
            block.append(bare.lstrip("#").removeprefix(" ").rstrip())
