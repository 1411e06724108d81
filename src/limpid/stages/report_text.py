"""The report as Markdown, and as what the terminal shows at the end of ``limpid demo``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from limpid.stages.curves import Panel, describe, moving_mean
from limpid.stages.report_words import (
    AFTER,
    GRADES,
    NOTES,
    STAGES,
    TITLES,
    Row,
    answering,
    count,
    duration,
    interval_text,
    machine_line,
    others,
    percent,
    printable,
    reading,
    size,
    stages_of,
    story,
    value_text,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"right": "green", "admitted": "yellow", "wrong": "red"}
_STEPS = "▁▂▃▄▅▆▇█"


def headline(report: dict[str, Any]) -> str:
    """The whole in a sentence."""
    named = {stage["name"]: stage for stage in report["stages"]}
    size_ = max((stage.get("parameters") or 0 for stage in report["stages"]), default=0)
    what = f"a model of {count(size_)} parameters" if size_ else "a small model"
    done = [TITLES[name].lower() for name in STAGES if name in named and named[name]["finished"]]
    went = (
        f"went through {', '.join(done[:-1])} and {done[-1]}"
        if len(done) > 1
        else f"has finished: {''.join(done) or 'nothing'}"
    )
    return f"On this machine, in {duration(report['total_seconds'])}, {what} {went}."


def commands(folder: str) -> list[tuple[str, str]]:
    """(what to type, what it does) for the next hour."""
    where = shlex.quote(folder)
    return [
        (f"limpid chat {where}", "talk with it"),
        (f'limpid generate {where} --prompt "Return the number of" --show-probabilities', "see what it expects next"),
        ("limpid pretrain demo data.path=my-text.txt --out runs/mine", "read your own text instead"),
        (f"limpid runs {where}", "its recipe and numbers"),
    ]


# ---------------------------------------------------------------- Markdown


def render_markdown(report: dict[str, Any], drawn: list[Panel], folder: str) -> str:
    """The whole report, readable as it stands."""
    lines = ["# A ChatGPT, made here", "", _md(headline(report)), "", f"Machine: {_md(machine_line(report))}.", ""]
    after = [name for name in STAGES if any(name in row["after"] for row in report["prompts"])]
    if report["prompts"]:
        lines += ["## The same questions after each stage", ""]
        head = ["Question", "Expected", *(f"After {AFTER[name]}" for name in after)]
        lines += _table(
            head,
            (
                [_md(row["prompt"]), _md(row["expected"] or "–"), *(_answer(row, n) for n in after)]
                for row in report["prompts"]
            ),
        )
        lines += ["✓ right, ~ admitted not knowing, ✗ wrong", ""]
    lines += ["## The stages", ""]
    lines += [f"{i}. **{TITLES[s['name']]}.** {_md(story(s, report))}" for i, s in enumerate(report["stages"], 1)]
    lines += [
        "",
        *_table(
            ["Stage", "Time", "Tokens", "Tokens/s", "Share of matmul rate"],
            map(_stage_cells, report["stages"]),
            "lrrrr",
        ),
    ]
    lines += [f"In all {duration(report['total_seconds'])}; peak memory {size(report['peak_rss_bytes'])}.", ""]
    lines += ["## Measures", "", "Each with its 95% bootstrap interval.", ""]
    lines += _measures("Bits per byte of test text (lower is better)", reading(report), "bits per byte")
    lines += _measures("Right answers (higher is better)", answering(report, "right"), ": right")
    lines += _measures("Wrong answers (lower is better)", answering(report, "wrong"), ": wrong")
    lines += _measures("Other measures", others(report), None)
    if drawn:
        lines += ["## Curves", "", "Drawn in [report.html](report.html); here their outline.", ""]
        rows = (
            [
                TITLES[p.stage],
                _md(p.title),
                _md(s.name),
                f"`{sparkline(s.points, s.smooth)}`",
                _md(describe(p._replace(series=[s], levels={}))),
            ]
            for p in drawn
            for s in p.series
        )
        lines += _table(["Stage", "Curve", "Line", "Outline", "In words"], rows)
    lines += ["## Where to go next", "", "```sh", *(f"{line}  # {what}" for line, what in commands(folder)), "```", ""]
    lines += ["## What the numbers mean", "", *(f"- **{_md(name)}**: {_md(text)}" for name, text in NOTES), ""]
    return "\n".join(lines)


def sparkline(points: list[tuple[float, float]], smooth: bool, width: int = 16) -> str:
    """A line in a dozen characters."""
    ys = [y for _, y in (moving_mean(points) if smooth else points)]
    picked = [ys[round(i * (len(ys) - 1) / (width - 1))] for i in range(width)] if len(ys) > width else ys
    low, high = min(picked), max(picked)
    return "".join(_STEPS[round((y - low) / (high - low or 1) * (len(_STEPS) - 1))] for y in picked)


def _measures(title: str, rows: list[Row], unit: str | None) -> list[str]:
    if not rows:
        return []
    if unit == "bits per byte":
        cells = ([_md(row.label), *(_md(_with_interval(unit, m)) for m in row.by_stage.values())] for row in rows)
        return [f"### {title}", "", *_table(["", "Bits per byte"], cells, "lr")]
    columns = stages_of(rows)
    body = (
        [
            _md(row.label),
            *(_md(_with_interval(unit or row.label, m)) if (m := row.by_stage.get(c)) else "–" for c in columns),
        ]
        for row in rows
    )
    return [f"### {title}", "", *_table(["", *(f"After {AFTER[c]}" for c in columns)], body, "l" + "r" * len(columns))]


def _with_interval(name: str, measure: Mapping[str, float | None]) -> str:
    name = f"x{name}" if name.startswith(": ") else name
    return f"{value_text(name, dict(measure))} {interval_text(name, dict(measure))}".strip()


def _answer(row: dict[str, Any], stage: str) -> str:
    if stage not in row["after"]:
        return "–"
    return f"{GRADES.get(row['grades'].get(stage), '')} {_md(row['after'][stage])}".strip()


def _stage_cells(stage: dict[str, Any]) -> list[str]:
    name = TITLES[stage["name"]] + ("" if stage["finished"] else " (unfinished)")
    return [
        name,
        duration(stage["seconds"]),
        count(stage["tokens"]),
        count(stage["tokens_per_second"]),
        percent(stage["matmul_share"]),
    ]


def _table(head: list[str], rows: Iterable[list[str]], align: str = "") -> list[str]:
    marks = ["---:" if side == "r" else "---" for side in align.ljust(len(head), "l")]
    return [f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)] + [""]


def _md(text: str) -> str:
    """Text as Markdown that shows just that text, in one line."""
    one_line = " ".join(printable(text).split())
    plain = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", plain)


# ---------------------------------------------------------------- the terminal


def render_terminal(report: dict[str, Any]) -> RenderableType:
    """The report in short, for a terminal of 80 columns or more: answers, stages, key measures."""
    from rich import box
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    def table(*columns: str) -> Table:
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
        for place, column in enumerate(columns):
            made.add_column(column, justify="right" if place else "left", overflow="fold")
        return made

    parts: list[RenderableType] = [Text()]
    if report["prompts"]:
        parts += [Text("The same questions after each stage", style="bold underline"), Text()]
    for row in report["prompts"]:
        answers = Table.grid(padding=(0, 1))
        answers.add_column(width=11, style="dim")
        answers.add_column(width=1)
        answers.add_column(overflow="fold")
        for stage, answer in row["after"].items():
            grade = row["grades"].get(stage)
            style = _STYLES.get(grade, "")
            said = Text(
                " ".join(printable(answer, 130).split()) or "(nothing)", style="green" if grade == "right" else ""
            )
            answers.add_row(AFTER[stage], Text(GRADES.get(grade, "·"), style=f"bold {style}".strip()), said)
        parts += [Text(" ".join(printable(row["prompt"], 240).split()), style="bold"), Padding(answers, (0, 0, 1, 2))]
    if report["prompts"]:
        parts += [Text("✓ right   ~ admitted not knowing   ✗ wrong", style="dim"), Text()]
    stages = table("Stage", "time", "tokens", "tokens/s", "of matmul rate")
    for stage in report["stages"]:
        stages.add_row(*_stage_cells(stage))
    parts += [stages, Text()]
    bits, right, wrong = reading(report), answering(report, "right"), answering(report, "wrong")
    if bits:
        shown = table("Bits per byte of unseen text (lower is better)", "", "95% interval")
        for line in bits:
            for measure in line.by_stage.values():
                shown.add_row(Text(line.label), value_text("", measure), Text(interval_text("", measure)))
        parts += [shown, Text()]
    for stage in report["stages"]:
        if accuracy := stage["measures"].get("accuracy"):
            shown = table(TITLES[stage["name"]], "of held-out pairs")
            shown.add_row(Text("The better answer above the worse"), Text(_with_interval(": right", accuracy)))
            parts += [shown, Text()]
    for title, rows in (
        ("Right answers", right),
        ("Wrong answers", [row for row in wrong if row.label.startswith("Names")]),
    ):
        if columns := stages_of(rows):
            shown = table(title, *(f"after {AFTER[c]}" for c in columns))
            for line in rows:
                found = [line.by_stage.get(c) for c in columns]
                shown.add_row(Text(line.label), *(Text(_with_interval(": right", m) if m else "–") for m in found))
            parts += [shown, Text()]
    total = f"{duration(report['total_seconds'])} in all, peak memory {size(report['peak_rss_bytes'])}"
    parts += [Text(total, style="bold")]
    return Group(*parts)
