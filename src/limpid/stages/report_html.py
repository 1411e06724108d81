"""The report as one HTML file: nothing is fetched, every text is escaped, and it reads on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from limpid.stages.curves import Panel, draw, interval_bar, number, ticks
from limpid.stages.report_text import commands, headline
from limpid.stages.report_words import (
    AFTER,
    GRADES,
    NOTES,
    STAGES,
    TAGLINES,
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

_FOLDER = Path(__file__).parent
# Roles are spelt out where a phone's layout turns rows into blocks, which would take the table from a screen reader.
_COLUMN = '<th scope="col" role="columnheader">'
_ROW = '<tr role="row"><th scope="row" role="rowheader">'


def render_html(report: dict[str, Any], drawn: Sequence[Panel], folder: str) -> str:
    """The whole page."""
    body = "\n".join(
        part
        for part in (
            _header(report),
            _prompts(report),
            _stages(report),
            _measures(report),
            _curves(drawn),
            _next(folder),
            _notes(report),
        )
        if part
    )
    return page("limpid demo: a ChatGPT, made here", body)


def page(title: str, body: str) -> str:
    """A whole page in the report's style, with ``body`` (HTML) in it."""
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _header(report: dict[str, Any]) -> str:
    named = {stage["name"]: stage for stage in report["stages"]}
    tokens = sum(stage["tokens"] or 0 for stage in report["stages"])
    parameters = max((stage.get("parameters") or 0 for stage in report["stages"]), default=0)
    figures = [
        (duration(report["total_seconds"]), "from text to chat"),
        (count(parameters or None), "parameters"),
        (count(tokens or None), "tokens computed"),
        (size(report["peak_rss_bytes"]), "peak memory"),
    ]
    if vocabulary := named.get("tokenizer", {}).get("vocab_size"):
        figures.insert(1, (f"{vocabulary:,}", "tokens in its vocabulary"))
    tiles = "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for value, what in figures)
    return (
        '<header>\n<p class="brand">limpid <span>demo report</span></p>\n<h1>A ChatGPT, made here</h1>\n'
        f'<p class="lead">{escape(headline(report))}</p>\n<dl class="figures">{tiles}</dl>\n</header>'
    )


def _prompts(report: dict[str, Any]) -> str:
    after = [name for name in STAGES if any(name in row["after"] for row in report["prompts"])]
    if not after:
        return ""
    head = "".join(
        f"{_COLUMN}After {escape(AFTER[name])}<small>{escape(TAGLINES.get(name, ''))}</small></th>" for name in after
    )
    rows = []
    for row in report["prompts"]:
        expected = f"<small>expected: <bdi>{_said(row['expected'])}</bdi></small>" if row["expected"] else ""
        cells = "".join(_answer(row, name) for name in after)
        rows.append(f"{_ROW}<bdi>{_said(row['prompt'])}</bdi>{expected}</th>{cells}</tr>")
    return (
        '<section aria-labelledby="prompts">\n<h2 id="prompts">The same questions after each stage</h2>\n'
        "<p>Nothing but the training differs between the columns; admitted means that it says it does not know. "
        f'<span class="key">{"".join(map(_mark, GRADES))}</span></p>\n'
        '<table class="answers" role="table" aria-labelledby="prompts"><thead role="rowgroup">'
        f'<tr role="row"><th scope="col" role="columnheader">Question</th>{head}</tr></thead>\n'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>\n</section>'
    )


def _answer(row: dict[str, Any], stage: str) -> str:
    label = f'<span class="after" aria-hidden="true">after {escape(AFTER[stage])}</span>'
    if stage not in row["after"]:
        return f'<td role="cell" class="none">{label}–</td>'
    given = row["grades"].get(stage)
    grade, mark = (given, _mark(given)) if given in GRADES else ("none", "")
    said = _said(row["after"][stage]) or "<em>(nothing)</em>"
    return f'<td role="cell" class="{grade}">{label}<bdi class="said">{said}</bdi>{mark}</td>'


def _mark(grade: str) -> str:
    return f'<span class="mark {grade}"><i aria-hidden="true">{GRADES[grade]}</i> {grade}</span>'


def _said(text: str) -> str:
    return escape(printable(str(text).strip()))


def _stages(report: dict[str, Any]) -> str:
    items, rows = [], []
    for stage in report["stages"]:
        example = _example(stage) if stage["name"] == "tokenizer" else ""
        items.append(f"<li><h3>{escape(TITLES[stage['name']])}</h3><p>{escape(story(stage, report))}</p>{example}</li>")
        share = stage["matmul_share"]
        width = f"{min(100, 100 * (share or 0)):.0f}%"
        meter = f'<span class="meter" aria-hidden="true"><i style="width:{width}"></i></span>' if share else ""
        unfinished = "" if stage["finished"] else " <small>unfinished</small>"
        cells = (duration(stage["seconds"]), count(stage["tokens"]), count(stage["tokens_per_second"]))
        numbers = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        name = f'<th scope="row">{escape(TITLES[stage["name"]])}{unfinished}</th>'
        rows.append(f"<tr>{name}{numbers}<td>{percent(share)}{meter}</td></tr>")
    whole = escape(duration(report["total_seconds"]))
    total = f'<tr><th scope="row">The whole line</th><td>{whole}</td><td></td><td></td><td></td></tr>'
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("Stage", "Time", "Tokens", "Tokens a second", "Share of matmul rate")
    )
    return (
        '<section aria-labelledby="stages">\n<h2 id="stages">What each stage is for</h2>\n'
        f'<ol class="stages">{"".join(items)}</ol>\n'
        '<div class="wide" role="region" tabindex="0" aria-label="Time and speed of the stages">'
        f'<table class="numbers"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody><tfoot>{total}</tfoot></table></div>\n</section>"
    )


def _example(stage: dict[str, Any]) -> str:
    lines = []
    for example in stage.get("example") or []:
        if isinstance(example, dict) and isinstance(example.get("tokens"), list):
            tokens = "".join(f"<span>{escape(printable(str(token)))}</span>" for token in example["tokens"][:40])
            label = f"{len(example['tokens'])} tokens: {printable(str(example.get('text', '')))}"
            lines.append(f'<p class="tokens" role="img" aria-label="{escape(label)}">{tokens}</p>')
    return "".join(lines)


def _measures(report: dict[str, Any]) -> str:
    bits, right, wrong, rest = reading(report), answering(report, "right"), answering(report, "wrong"), others(report)
    parts = []
    if bits:
        parts.append(_intervals("Reading", "Bits per byte of text it has never seen. Lower is better.", bits, None))
    if right:
        parts.append(_intervals("Right answers", "Share of held-out questions. Higher is better.", right, ": right"))
    if wrong:
        parts.append(_intervals("Wrong answers", "Neither right nor an admission. Lower is better.", wrong, ": wrong"))
    if rest:
        table = _intervals("", "", rest, "")
        parts.append(f"<details><summary>{len(rest)} more measures</summary>{table}</details>")
    if not parts:
        return ""
    middle: dict[str, float | None] = {"value": 0.5, "low": 0.15, "high": 0.85}
    shapes = "".join(
        f"<span>{interval_bar([(name, middle)], 0, 1, '')} after {escape(AFTER[name])}</span>"
        for name in stages_of([*bits, *right, *wrong, *rest])
    ).replace('role="img" aria-label=""', 'aria-hidden="true"')
    return (
        '<section aria-labelledby="measures">\n<h2 id="measures">What it can do, measured</h2>\n'
        "<p>A stroke is the value, the box around it its 95% bootstrap interval. "
        f'<span class="key shapes">{shapes}</span></p>\n{"".join(parts)}\n</section>'
    )


def _intervals(title: str, note: str, rows: list[Row], unit: str | None) -> str:
    """A table of measures with their bars; without ``unit`` (bits per byte) all stages share a column."""
    columns = stages_of(rows) if unit is not None else [""]
    found = [m for row in rows for m in row.by_stage.values()]
    ends = [v for m in found for v in (m["value"], m["low"], m["high"]) if v is not None]
    low, high = (0.0, 1.0) if unit == ": right" else (0.0, _span([0.0, *ends])[1]) if unit else _span(ends)
    body = []
    for row in rows:
        name = f"x{unit}" if unit else "" if unit is None else row.label
        cells = []
        for column in columns:
            measure = row.by_stage.get(column) if column else next(iter(row.by_stage.values()))
            after = f'<span class="after" aria-hidden="true">after {escape(AFTER[column])}</span>' if column else ""
            text = f"{value_text(name, measure)} <small>{interval_text(name, measure)}</small>" if measure else "–"
            cells.append(f'<td role="cell">{after}{text}</td>')
        said = ", ".join(f"{value_text(name, m)} {interval_text(name, m)}".strip() for m in row.by_stage.values())
        bar = "" if unit == "" else interval_bar(list(row.by_stage.items()), low, high, f"{row.label}: {said}")
        chart = f'<td role="cell" class="bar">{bar}</td>' if bar else ""
        body.append(f"{_ROW}{escape(row.label)}</th>{chart}{''.join(cells)}</tr>")
    first, last = number(low, bool(unit)), number(high, bool(unit))
    scale = f'<th scope="col" role="columnheader" class="bar"><span class="scale">{first}<b></b>{last}</span></th>'
    named = (f"After {escape(AFTER[column])}" if column else "Bits per byte" for column in columns)
    heads = ("" if unit == "" else scale) + "".join(f"{_COLUMN}{name}</th>" for name in named)
    axis = f'<span class="scale-note">Scale from {first} to {last}.</span>'
    heading = f"<h3>{escape(title)}</h3><p>{escape(note)} {axis}</p>" if title else ""
    many = " many" if len(columns) > 2 else ""
    return (
        f'<div class="measure">{heading}<table class="intervals{many}" style="--columns:{len(columns)}" role="table" '
        f'aria-label="{escape(title or "More measures")}"><thead role="rowgroup"><tr role="row">'
        f'{_COLUMN}<span class="hidden">Measure</span></th>{heads}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody></table></div>'
    )


def _span(values: list[float]) -> tuple[float, float]:
    """Round ends of a scale that holds all values."""
    low, high = min(values), max(values)
    step = ticks(0.0, (high - low) or abs(high) or 1.0)[1]
    return step * ((low - 0.02 * step) // step), -step * ((-high - 0.02 * step) // step)


def _curves(drawn: Sequence[Panel]) -> str:
    parts = []
    for stage in STAGES:
        shown = {minor: [p for p in drawn if p.stage == stage and p.minor == minor] for minor in (False, True)}
        if not any(shown.values()):
            continue
        figures = {
            minor: "".join(_figure(panel, f"curve-{stage}-{int(minor)}-{i}") for i, panel in enumerate(chosen))
            for minor, chosen in shown.items()
        }
        parts.append(f'<h3>{escape(TITLES[stage])}</h3><div class="curves">{figures[False]}</div>')
        if figures[True]:
            summary = f"<summary>The machinery of {escape(TITLES[stage].lower())}</summary>"
            parts.append(f'<details>{summary}<div class="curves">{figures[True]}</div></details>')
    if not parts:
        return ""
    return (
        '<section aria-labelledby="curves">\n<h2 id="curves">How it went</h2>\n'
        f"<p>Faint: every step. Strong: a moving mean. Point at a curve to read it.</p>\n{''.join(parts)}\n</section>"
    )


def _figure(panel: Panel, key: str) -> str:
    note = f" <span>{escape(panel.note)}</span>" if panel.note else ""
    return f"<figure><figcaption>{escape(panel.title)}{note}</figcaption>{draw(panel, key)}</figure>"


def _next(folder: str) -> str:
    items = "".join(f"<dt>{escape(what)}</dt><dd><code>{escape(line)}</code></dd>" for line, what in commands(folder))
    heading = '<section aria-labelledby="next">\n<h2 id="next">Where to go next</h2>'
    return f'{heading}\n<dl class="next">{items}</dl>\n</section>'


def _notes(report: dict[str, Any]) -> str:
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in NOTES)
    return (
        "<footer>\n<h2>What the numbers mean</h2>\n"
        f'<dl class="notes">{notes}</dl>\n<p class="machine">{escape(machine_line(report))}</p>\n</footer>'
    )
