"""The pages as a reader takes them: their shell lines and Python programs, from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.docs import pages

SHELL = ("", "sh", "bash")
STEP = re.compile(r"^```(\w*)\n(.*?)^```|^ {4}(limpid [^\n]*)$", flags=re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """kind: ``shell`` (one line, those that go on joined, its remark left out) or ``python`` (a whole block)."""

    kind: str
    text: str


def steps(text: str) -> Iterator[Step]:
    """What a page tells its reader to run, in order."""
    for language, code, set_in in STEP.findall(text):
        if language == "python":
            yield Step("python", code)
        elif language in SHELL:
            for line in re.sub(r"\\\n\s*", "", code or set_in).splitlines():
                if said := re.split(r"\s+# ", line)[0].strip():
                    yield Step("shell", said)


def texts() -> dict[str, str]:
    """The pages in English that tell their reader to run something, but for the lessons: these are run where they are
    tested."""
    found = {name: (pages.ROOT / name).read_text(encoding="utf-8") for name in pages.READMES}
    found |= {f"docs/{name}": text for name, text in pages.written().items() if not name.startswith("lessons/")}
    return {name: text for name, text in found.items() if ".zh" not in Path(name).suffixes and any(steps(text))}
