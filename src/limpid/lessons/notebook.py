"""A lesson as a Jupyter notebook (format 4.5), and as a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from limpid.lessons.lesson import Lesson
from limpid.lessons.running import Outcome


def notebook(lesson: Lesson, language: str) -> str:
    """The notebook's JSON: a cell of prose and a cell of code a step, nothing run yet."""
    cells = [_cell("markdown", f"# {lesson.title.of(language)}\n\n{lesson.summary.of(language)}", 0)]
    for number, step in enumerate(lesson.steps, 1):
        cells.append(_cell("markdown", f"## {step.title.of(language)}\n\n{step.prose.of(language)}", 2 * number))
        if step.code:
            cells.append(_cell("code", step.code, 2 * number + 1))
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {
        "cells": cells, "metadata": {"kernelspec": python, "language_info": {"name": "python"}}, "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def _cell(kind: str, source: str, number: int) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


_WORDS = {
    "en": ("Run it", "with values of your own", " (in the app: `limpid serve`)", "as a notebook", "中文"),
    "zh": ("运行", "换上自己的数", "（在应用里：`limpid serve`）", "存成笔记本", "English"),
}


def document(lesson: Lesson, outcomes: Sequence[Outcome], language: str, images: str = "images") -> str:
    """The lesson as Markdown, with its outputs; pictures are ``images/NAME-STEP-N.svg``."""
    run, own, app, book, other = _WORDS[language]
    here = "" if language == "en" else ".zh"
    there = ".zh" if language == "en" else ""
    call = f"limpid lesson {lesson.name}{'' if language == 'en' else ' --lang zh'}"
    lines = [
        f"# {lesson.title.of(language)}", "", lesson.summary.of(language), "", f"[{other}]({lesson.name}{there}.md) · "
        f"[{'All lessons' if language == 'en' else '全部课程'}](index{here}.md)", "", "```sh",
        f"{call}  # {run}",
    ]  # fmt: skip
    if lesson.inputs:
        first = next(iter(lesson.inputs.values()))
        value = json.dumps(first.value, ensure_ascii=False)
        lines.append(f"{call} '{first.name}={value if first.kind != 'text' else first.value}'  # {own}")
    lines += [
        f"{call} --notebook {lesson.name}.ipynb  # {book}", "```", "", f"`#/lessons/{lesson.name}`{app}", "",
    ]  # fmt: skip
    for number, (step, outcome) in enumerate(zip(lesson.steps, outcomes, strict=True), 1):
        lines += [f"## {number}. {step.title.of(language)}", "", step.prose.of(language), ""]
        if step.code:
            lines += ["```python", step.code, "```", ""]
        if outcome.output:
            lines += ["```text", outcome.output.rstrip("\n"), "```", ""]
        for index, picture in enumerate(outcome.pictures, 1):
            says = picture.title or step.title.of(language)
            lines += [f"![{says}]({images}/{lesson.name}-{number}-{index}.svg)", ""]
    return "\n".join(lines).rstrip("\n") + "\n"
