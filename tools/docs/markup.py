"""Markdown out of values and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

HEADINGS = ("Args", "Raises", "Returns", "Yields")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells are escaped, and line ends become spaces."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def code(value: str) -> str:
    """As code, or nothing of nothing."""
    return f"`{value}`" if value else ""


def docstring(thing: object) -> str:
    """The docstring as markdown: ``code`` with one mark, and ``Args:`` and the like as lists."""
    text = inspect.getdoc(thing) or ""
    parts = re.split(rf"^({'|'.join(HEADINGS)}):\n", text, flags=re.MULTILINE)
    shown = [prose(parts[0])]
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        block, _, rest = body.partition("\n\n")
        items = re.findall(r"^ {4}([\w*, ]+?): (.*(?:\n {8}.*)*)", block, flags=re.MULTILINE)
        listed = [f"- `{name}`: {prose(' '.join(words.split()))}" for name, words in items]
        shown.append(f"*{heading}*\n\n" + ("\n".join(listed) or prose(inspect.cleandoc(block))))
        shown.append(prose(inspect.cleandoc(rest)))
    return "\n\n".join(part for part in shown if part)


def prose(text: str) -> str:
    """reStructuredText's ``code`` as markdown's; what would be read as markup is escaped: <unk>, text_key."""
    parts = re.split(r"(`[^`]+`)", re.sub(r"``([^`]+)``", r"`\1`", text.strip()))
    return "".join(part if part.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", part) for part in parts)


def summary(thing: object) -> str:
    """The first paragraph, on one line."""
    return prose(" ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split()))
