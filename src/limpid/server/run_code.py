"""What going on with a run would execute that is not limpid's: the files of reward functions that its command names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from limpid.core.user_code import digest

SHOWN = 64 * 1024
"""Characters of a file that the page is given to read."""
_NAMED = re.compile(r"""["']([^"'\n]+):[A-Za-z_]\w*["']|([^\s"'=,\[\]{}]+):[A-Za-z_]\w*""")
"""FILE:FUNCTION, as a reward is written in a recipe or an override."""


class UserFile(NamedTuple):
    """A file of a user's that would run. digest: of what stands in it. text: of a Python file, its beginning."""

    path: str
    digest: str
    text: str


def files_named(texts: Iterable[str], directory: Path) -> list[UserFile]:
    """The files that are there and are named as functions in the words of a command or a recipe.

    directory: where relative paths begin. What is named in another way is not found here; the process that meets it
    refuses it (`core.user_code`).
    """
    found: dict[Path, UserFile] = {}
    for text in texts:
        for quoted, bare in _NAMED.findall(text):
            path = directory / (quoted or bare)
            try:
                if path.is_file() and path not in found:
                    shown = path.read_text(encoding="utf-8", errors="replace")[:SHOWN] if path.suffix == ".py" else ""
                    found[path] = UserFile(str(path.resolve()), digest(path), shown)
            except (OSError, ValueError):
                continue
    return list(found.values())
