"""Which page stands where: docs/navigation.toml, its patterns filled in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

Section = tuple[str, list[str]]


def read(path: Path, pages: Mapping[str, str]) -> list[Section]:
    """The sections with their pages.

    Args:
        path: navigation.toml. A name in it that is no page is passed over: it may be another branch's.
        pages: address under the docs folder -> text. Each comes out once, or an error says which does not.

    Raises:
        ValueError: a page in two sections, or in none.
    """
    sections = tomllib.loads(path.read_text(encoding="utf-8"))["section"]
    named = [name for section in sections for name in section["pages"] if "*" not in name]
    if twice := {name for name in named if named.count(name) > 1}:
        raise ValueError(f"{path}: in two sections: {', '.join(sorted(twice))}")
    left = set(pages) - set(named)
    found: list[Section] = []
    for section in sections:
        taken: list[str] = []
        for name in section["pages"]:
            if "*" not in name:
                taken += [name] if name in pages else []
                continue
            matching = [page for page in left if _matches(page, name)]
            matching.sort(key=lambda page: _order(page, pages))
            taken += matching
            left -= set(matching)
        found.append((section["title"], taken))
    if left:
        raise ValueError(f"{path}: in no section: {', '.join(sorted(left))}")
    return [section for section in found if section[1]]


def _order(page: str, pages: Mapping[str, str]) -> tuple[int, str]:
    """In the order in which its folder's index names the pages; those it does not name by their titles."""
    path = PurePosixPath(page)
    index = pages.get(str(path.with_name("index.zh.md" if page.endswith(".zh.md") else "index.md")), "")
    place = index.find(f"({path.name})")
    return place if place >= 0 else len(index), title(pages[page])


def title(text: str) -> str:
    """The first heading of a page."""
    heading = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    if heading is None:
        raise ValueError(f"a page without a title: {text[:60]!r}")
    return heading[1].strip()


def _matches(page: str, pattern: str) -> bool:
    """Whether a pattern of one folder takes the page; Chinese pages are taken by Chinese patterns alone."""
    there, wanted = PurePosixPath(page), PurePosixPath(pattern)
    alike = page.endswith(".zh.md") == pattern.endswith(".zh.md")
    return alike and there.parent == wanted.parent and fnmatchcase(there.name, wanted.name)
