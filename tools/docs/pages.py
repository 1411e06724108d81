"""The pages of the site: what docs/ and the README hold, and what the code says of itself."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from tools.docs import commands, python, recipes

ROOT = Path(__file__).parents[2]
FENCES = re.compile(r"^(```.*?^```[ ]*$)", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+)\)")
READMES = {"README.md": "README.en.md", "README.zh.md": "README.zh.md"}
"""What they are called in the site, where a README would be taken for the index."""


def written(root: Path = ROOT) -> dict[str, str]:
    """Address -> text of the pages that people wrote, as they are read on a code host."""
    paths = sorted((root / "docs").rglob("*.md"))
    return {path.relative_to(root / "docs").as_posix(): path.read_text(encoding="utf-8") for path in paths}


def generated() -> dict[str, str]:
    """Address -> text of the pages that the code writes."""
    return {
        "reference/cli.md": commands.page(),
        "reference/recipes.md": recipes.page(),
        "reference/keys.md": recipes.keys_page(),
        "reference/python.md": python.page(),
    }


def of_site(root: Path = ROOT) -> dict[str, str]:
    """All pages, their links rewritten from the places they have in the repository to those in the site."""
    pages = written(root) | {name: (root / name).read_text(encoding="utf-8") for name in READMES}
    texts = {name: _relinked(text, name, root) for name, text in pages.items()}
    return {READMES.get(name, name): _spaced(text) for name, text in (texts | generated()).items()}


def _relinked(text: str, name: str, root: Path) -> str:
    """Links that lead out of docs/: to the READMEs in the site, or no link where the site has no such page."""
    home = PurePosixPath(".") if name in READMES else PurePosixPath("docs", name).parent
    here = PurePosixPath(name).parent

    def rewritten(match: re.Match[str]) -> str:
        words, target = match.groups()
        address, mark, anchor = target.partition("#")
        if not address or ":" in address:
            return match[0]
        path = PurePosixPath(os.path.normpath(home / address))
        inside = path.relative_to("docs") if path.is_relative_to("docs") else READMES.get(str(path))
        if inside is not None:
            return f"{words}({os.path.relpath(inside, here)}{mark}{anchor})"
        return words[1:-1] if (root / path).exists() else match[0]

    return "".join(part if part.startswith("```") else LINK.sub(rewritten, part) for part in FENCES.split(text))


def _spaced(text: str) -> str:
    """Python-Markdown wants an empty line before a list, where code hosts want none."""
    item = re.compile(r"(?m)^((?![-*] |\d+\. |[ \t|#>]|$).+)\n(?=[-*] |1\. )")
    return "".join(part if part.startswith("```") else item.sub(r"\1\n\n", part) for part in FENCES.split(text))
