"""``python -m tools.docs``: build the documentation into build/site, without warnings and outside requests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import tomli_w
from tools.docs import navigation, pages

OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source|video|link)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'>\s]+|@import\s+url\(["']?https?:""",
    flags=re.IGNORECASE,
)
"""What a browser fetches by itself. A link that a reader may follow is no request."""


def stage(folder: Path, root: Path = pages.ROOT) -> Path:
    """Write the site's pages, pictures and configuration under ``folder``; the configuration's path."""
    shutil.rmtree(folder / "docs", ignore_errors=True)
    shutil.copytree(root / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.md", "navigation.toml"))
    shutil.copytree(root / "tools/docs/assets", folder / "docs", dirs_exist_ok=True)
    texts = pages.of_site(root)
    for name, text in texts.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    settings = tomllib.loads((root / "zensical.toml").read_text(encoding="utf-8"))
    sections = navigation.read(root / "docs/navigation.toml", texts)
    settings["project"]["nav"] = [
        {title: [{_title(page, texts[page]): page} for page in names]} for title, names in sections
    ]
    path = folder / "zensical.toml"
    path.write_text(tomli_w.dumps(settings), encoding="utf-8")
    return path


def _title(page: str, text: str) -> str:
    """What the bar at the side calls a page."""
    return "README" if page.startswith("README.") else navigation.title(text)


def outside_requests(site: Path) -> list[str]:
    """What the built pages would fetch from elsewhere, each as ``page: address``."""
    found = []
    for path in sorted(p for p in site.rglob("*") if p.suffix in (".html", ".css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(site)}: {match[0]}" for match in OUTSIDE.finditer(text)]
    return found


def main() -> int:
    folder = pages.ROOT / "build"
    shutil.rmtree(folder / "site", ignore_errors=True)
    config = stage(folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    if done := subprocess.run(command, cwd=folder).returncode:
        return done
    if asked := outside_requests(folder / "site"):
        print("The site asks other machines:", *asked, sep="\n  ", file=sys.stderr)
        return 1
    count = len(list((folder / "site").rglob("*.html")))
    print(f"{count} pages: {folder / 'site' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
