"""A lesson: one script that runs as it stands, read as steps of prose, in two languages, and code.

The script is the only source. Terminal, page, notebook and documentation show it; none of them holds a number.

    # %% Title || 标题
    # The summary.
    # ---
    # 摘要。

    # %% First step || 第一步
    # Prose in English.
    # ---
    # 中文。
    scores = [2.0, 1.0, 0.1]  # in: numbers(2..12 of -50..50): The scores || 分数
    print(softmax(scores))

A line that ends in ``# in:`` is what a reader may change: its value is exchanged for theirs before anything runs, so
the code that is shown is the code that made the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.lessons.inputs import Input, read_input

SCRIPTS = Path(__file__).parent / "scripts"
_CELL = re.compile(r"^# %% (.+?) \|\| (.+)$", re.MULTILINE)
_INPUT = re.compile(r"^(?P<name>\w+) = (?P<value>.+?)  # in: (?P<kind>.+?): (?P<en>.+?) \|\| (?P<zh>.+)$")
_BREAK = "# ---"
_WIDE_GAP = re.compile(r"\n{3,}")


class Text(NamedTuple):
    """The same in both languages."""

    en: str
    zh: str

    def of(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


class Step(NamedTuple):
    """title, prose: Markdown, a blank line between paragraphs. code: without the marks of its inputs; "": none."""

    title: Text
    prose: Text
    code: str
    inputs: tuple[Input, ...]


class Lesson(NamedTuple):
    """name: as in ``limpid lesson NAME``. title, summary: in one line each."""

    name: str
    title: Text
    summary: Text
    steps: tuple[Step, ...]

    @property
    def inputs(self) -> dict[str, Input]:
        return {one.name: one for step in self.steps for one in step.inputs}

    def program(self, until: int | None = None) -> str:
        """The code of the steps, to the one of that index, as one program."""
        chosen = self.steps if until is None else self.steps[: until + 1]
        return "\n\n".join(step.code for step in chosen if step.code) + "\n"

    def given(self, values: Mapping[str, Any]) -> Lesson:
        """The lesson with a reader's values in its code.

        Raises:
            LimpidError: an input that it does not have, or a value that this one does not take.
        """
        known = self.inputs
        for name in values:
            if name not in known:
                has = did_you_mean(name, known) if known else " It takes none."
                raise LimpidError(f"The lesson '{self.name}' has no input '{name}'.{has}")
        return self._replace(steps=tuple(_given(step, values) for step in self.steps))


def _given(step: Step, values: Mapping[str, Any]) -> Step:
    code, inputs = step.code, []
    for one in step.inputs:
        if one.name in values:
            new = one.taking(values[one.name])
            code = code.replace(f"{one.name} = {one.literal}", f"{one.name} = {new.literal}", 1)
            one = new
        inputs.append(one)
    return step._replace(code=code, inputs=tuple(inputs))


def read_lesson(name: str) -> Lesson:
    """The lesson of a script's name.

    Raises:
        KeyError: there is no such script.
    """
    path = SCRIPTS / f"{name}.py"
    if not path.is_file():
        raise KeyError(name)
    marks = list(_CELL.finditer(text := path.read_text(encoding="utf-8")))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    steps = [
        _step(Text(mark[1], mark[2]), text[mark.end() : end].strip("\n")) for mark, end in zip(marks, ends, strict=True)
    ]
    head = steps[0]
    return Lesson(name, head.title, head.prose, tuple(steps[1:]))


def _step(title: Text, body: str) -> Step:
    lines = body.split("\n")
    at = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    prose, code = lines[:at], lines[at:]
    middle = prose.index(_BREAK)
    found = [(i, match) for i, line in enumerate(code) if (match := _INPUT.match(line))]
    for i, match in found:
        code[i] = f"{match['name']} = {match['value']}"
    inputs = tuple(read_input(m["name"], m["value"], m["kind"], m["en"], m["zh"]) for _, m in found)
    both = Text(_paragraphs(prose[:middle], " "), _paragraphs(prose[middle + 1 :], ""))
    shown = _WIDE_GAP.sub("\n\n", "\n".join(code).strip("\n"))  # a formatter's two empty lines are one to a reader
    return Step(title, both, shown, inputs)


def _paragraphs(lines: list[str], between: str) -> str:
    """Comment lines as Markdown: lines of a paragraph become one, lists stay lists."""
    found: list[str] = []
    fresh = True
    for line in (line.removeprefix("#").removeprefix(" ") for line in lines):
        if not line:
            fresh = True
        elif line.startswith("- "):
            found.append(("\n" if found and not fresh and found[-1].lstrip().startswith("- ") else "\n\n") + line)
            fresh = False
        elif fresh:
            found.append("\n\n" + line)
            fresh = False
        else:
            wide = not between and (found[-1][-1].isascii() and line[0].isascii())
            found[-1] += (" " if wide else between) + line
    return "".join(found).strip()
