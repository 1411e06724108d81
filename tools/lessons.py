"""Write the lessons into the documentation: docs/lessons/NAME.md and NAME.zh.md, with what they print and draw.

    python tools/lessons.py           # run every lesson, write its pages and pictures, and the two tables of contents
    python tools/lessons.py softmax   # only this one, and the tables of contents

tests/lessons/test_lesson_pages.py says when a page is no longer what its lesson is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from limpid.lessons.book import CHAPTERS, NAMES, find
from limpid.lessons.lesson import Lesson
from limpid.lessons.notebook import document
from limpid.lessons.running import Outcome, run
from limpid.lessons.svg import svg

FOLDER = Path(__file__).parent.parent / "docs" / "lessons"
HEADS = {
    "en": """# Lessons

Each idea behind it all as a short program, in English and [Chinese](index.zh.md). What a page prints, its code printed:
`limpid lesson NAME` runs it on a terminal, the app has it at `#/lessons` with values to change, and `--notebook
FILE.ipynb` makes a notebook of it. A lesson is one script in `src/limpid/lessons/scripts`; these pages are written by
`python tools/lessons.py`.
""",
    "zh": """# 课程

背后的每个想法，都是一段短程序，有[英文](index.md)和中文。页面上打印的，都是上面那段代码打印的：`limpid lesson 名字`
在终端里运行，应用的 `#/lessons` 里可以改数值，`--notebook 文件.ipynb` 存成笔记本。每一课是 `src/limpid/lessons/scripts`
里的一个脚本，这些页面由 `python tools/lessons.py` 写成。
""",
}


def pages(lesson: Lesson, outcomes: list[Outcome]) -> dict[str, str]:
    """The files of a lesson, by their path under docs/lessons."""
    found = {
        f"{lesson.name}.md": document(lesson, outcomes, "en"),
        f"{lesson.name}.zh.md": document(lesson, outcomes, "zh"),
    }
    for name, picture in _pictures(lesson.name, outcomes):
        found[f"images/{name}.svg"] = picture + "\n"
    return found


def _pictures(name: str, outcomes: list[Outcome]) -> Iterator[tuple[str, str]]:
    for number, outcome in enumerate(outcomes, 1):
        for index, picture in enumerate(outcome.pictures, 1):
            yield f"{name}-{number}-{index}", svg(picture)


def contents(language: str) -> str:
    """The table of contents."""
    mark = ".zh" if language == "zh" else ""
    lines = [HEADS[language]]
    for chapter in CHAPTERS:
        lines += [f"## {chapter.title.of(language)}", ""]
        for name in chapter.names:
            one = find(name)
            colon = "：" if language == "zh" else ": "
            link = f"[{one.title.of(language)}]({name}{mark}.md)"
            lines.append(f"- {link}{colon}{one.summary.of(language)}")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        for path, text in pages(find(name), list(run(find(name)))).items():
            (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / path).write_text(text, encoding="utf-8")
    for path, language in (("index.md", "en"), ("index.zh.md", "zh")):
        (FOLDER / path).write_text(contents(language), encoding="utf-8")


if __name__ == "__main__":
    main()
