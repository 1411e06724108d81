"""A lesson on a terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from limpid.lessons.draw import Picture
from limpid.lessons.lesson import Lesson, Step
from limpid.lessons.running import Outcome
from limpid.lessons.svg import short

_WIDE = 96
_BLOCKS = " ▏▎▍▌▋▊▉█"
_HAN = re.compile("[\u3400-\u9fff]")
_UNIT = re.compile("[（“《]*(?:`[^`]*`|\\*[^*]+\\*|[!-)+-_a-~]+|.)[，。、：；！？）”》…—]*")


def print_picture(picture: Picture) -> None:
    """The picture on standard output."""
    Console(highlight=False).print(drawn(picture))


def heading(lesson: Lesson, language: str) -> RenderableType:
    """Title and summary."""
    title = Text(lesson.title.of(language), style="bold")
    return Group(
        Text(), title, Text("═" * min(_WIDE, cell_len(title.plain)), style="dim"), _prose(lesson.summary.of(language))
    )


def shown(step: Step, outcome: Outcome, number: int, language: str) -> RenderableType:
    """One step: prose, code, what it printed, pictures."""
    parts: list[RenderableType] = [
        Text(), Text(f"{number}. {step.title.of(language)}", style="bold cyan"), _prose(step.prose.of(language)),
    ]  # fmt: skip
    if step.code:
        parts.append(
            Padding(
                Syntax(step.code, "python", theme="ansi_dark", background_color="default", word_wrap=True), (0, 0, 1, 4)
            )
        )
    if outcome.output:
        parts.append(Padding(Text(outcome.output.rstrip("\n"), style="green"), (0, 0, 0, 2)))
    parts += [Padding(drawn(picture), (1, 0, 0, 2)) for picture in outcome.pictures]
    if outcome.fault:
        parts.append(Text(f"  {outcome.fault}", style="bold red"))
    return Group(*parts)


def _prose(text: str) -> RenderableType:
    return Padding(_Prose(text), (0, 0, 1, 0))


class _Prose:
    """Markdown of paragraphs. Chinese ones are broken between any two characters, where rich knows spaces alone."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        paragraphs = self._text.split("\n\n")
        yield Markdown("\n\n".join(folded(one, options.max_width) if _HAN.search(one) else one for one in paragraphs))


def folded(paragraph: str, width: int) -> str:
    """A Chinese paragraph of Markdown with a hard break where a line of ``width`` cells is full.

    No line begins with a mark that closes, nor ends with one that opens; words, code and emphasis stay whole.
    """
    lines = [""]
    for unit in _UNIT.findall(" ".join(paragraph.split())):
        if lines[-1] and cell_len(lines[-1] + unit.rstrip()) > width:
            lines.append("")
        lines[-1] += unit if lines[-1] else unit.lstrip()
    return "\\\n".join(line.rstrip() for line in lines)


def drawn(picture: Picture) -> RenderableType:
    """A picture in characters."""
    body = {"bars": _bars, "matrix": _matrix, "curves": _curves}[picture.kind](picture)
    return Group(Text(picture.title, style="italic"), body) if picture.title else body


def _bars(picture: Picture) -> RenderableType:
    values = picture.rows[0]
    most = max([abs(v) for v in values] + [1e-30])
    table = Table.grid(padding=(0, 1))
    for name, value in zip(picture.columns, values, strict=True):
        eighths = round(abs(value) / most * 240)
        bar = "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()
        table.add_row(Text(name, justify="right"), Text(bar, style="blue" if value >= 0 else "yellow"), short(value))
    return table


def _matrix(picture: Picture) -> RenderableType:
    rows = picture.rows
    if len(rows[0]) > 16 or len(rows) > 24:
        return _shades(picture)
    most = max([abs(v) for row in rows for v in row if abs(v) < 1e300] + [1e-30])
    table = Table.grid(padding=(0, 1))
    if picture.columns:
        table.add_row(*([""] if picture.names else []), *(Text(name, justify="right") for name in picture.columns))
    for y, row in enumerate(rows):
        cells = [Text(_cell(v), justify="right", style=_style(v, most)) for v in row]
        table.add_row(*([Text(picture.names[y], justify="right", style="dim")] if picture.names else []), *cells)
    return table


def _cell(value: float) -> str:
    return f"{'-∞' if value == float('-inf') else short(value):>6}"


def _style(value: float, most: float) -> str:
    share = min(1.0, abs(value) / most)
    if share < 0.15:
        return "dim"
    color = "blue" if value > 0 else "yellow"
    return f"black on {color}" if share > 0.6 else color


def _shades(picture: Picture) -> RenderableType:
    """A large matrix: two cells a character, sampled to what fits."""
    rows = picture.rows
    steps = max(1, -(-len(rows[0]) // _WIDE))
    most = max([abs(v) for row in rows for v in row] + [1e-30])
    lines = []
    for row in rows[:: max(1, -(-len(rows) // 24))]:
        marks = [" ░▒▓█"[min(4, int(5 * abs(v) / most))] for v in row[::steps]]
        lines.append(Text("".join(marks)))
    return Group(*lines)


def _curves(picture: Picture) -> RenderableType:
    """A row of blocks a series, all on one scale."""
    values = [v for row in picture.rows for v in row]
    low, span = min(values), (max(values) - min(values)) or 1.0
    table = Table.grid(padding=(0, 1))
    for name, row in zip(picture.names, picture.rows, strict=True):
        every = max(1, -(-len(row) // 64))
        line = "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * (v - low) / span))] for v in row[::every])
        table.add_row(Text(name, justify="right"), Text(line, style="blue"), f"{short(row[0])} → {short(row[-1])}")
    return table
