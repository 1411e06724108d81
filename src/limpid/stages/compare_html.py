"""A comparison as one HTML file in the report's style: nothing is fetched, and every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from limpid.stages.compare_words import BITS, MEASURES, NOTES, SHARES, cells, change_text, headline, win_text
from limpid.stages.curves import interval_bar
from limpid.stages.report_html import page
from limpid.stages.report_words import GRADES, KINDS, count, printable

_COLUMN = '<th scope="col" role="columnheader">'
_ROW = '<tr role="row"><th scope="row" role="rowheader">'


def render_html(found: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = (_header(found), _measures(found), _wins(found), _kinds(found), _samples(found), _notes())
    return page("limpid: models compared", "\n".join(part for part in parts if part))


def _header(found: Mapping[str, Any]) -> str:
    figures = [
        (f"{len(found['runs'])}", "models"),
        (f"{found['questions']:,}", "questions"),
        (count(max(run["parameters"] for run in found["runs"])), "parameters, at most"),
    ]
    tiles = "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for value, what in figures)
    return (
        '<header>\n<p class="brand">limpid <span>comparison</span></p>\n<h1>The same questions, side by side</h1>\n'
        f'<p class="lead">{escape(headline(found))}</p>\n<dl class="figures">{tiles}</dl>\n</header>'
    )


def _measures(found: Mapping[str, Any]) -> str:
    parts = []
    for name, title, note in MEASURES:
        rows = [(run, run["measures"][name]) for run in found["runs"] if name in run["measures"]]
        if not rows:
            continue
        ends = [end for _, measure in rows for end in (measure["low"], measure["high"])]
        low, high = (0.0, 1.0) if name in SHARES else (min(ends), max(ends))
        body = []
        for run, measure in rows:
            value, interval = cells(name, measure)
            change = f" <small>{escape(change_text(run))}</small>" if name == BITS else ""
            bar = interval_bar([("", measure)], low, high, f"{run['name']}: {value} {interval}")
            body.append(
                f'{_ROW}{_said(run["name"])}</th><td role="cell" class="bar">{bar}</td>'
                f'<td role="cell">{value} <small>{interval}</small>{change}</td></tr>'
            )
        parts.append(
            f'<div class="measure"><h3>{escape(title)}</h3><p>{escape(note)}</p>'
            f'<table class="intervals" style="--columns:1" role="table" aria-label="{escape(title)}"><tbody '
            f'role="rowgroup">{"".join(body)}</tbody></table></div>'
        )
    return (
        '<section aria-labelledby="measures">\n<h2 id="measures">Each model, measured</h2>\n'
        f"<p>A stroke is the value, the box around it its 95% bootstrap interval.</p>\n{''.join(parts)}\n</section>"
    )


def _wins(found: Mapping[str, Any]) -> str:
    columns = [by for by in ("judge", "checked") if any(by in win for win in found["wins"])]
    if not columns:
        return ""
    heads = {"judge": "By the judge", "checked": "By what can be checked"}
    body = []
    for win in found["wins"]:
        bars = "".join(_win_cell(win, by) for by in columns)
        body.append(f'<tr><th scope="row">{_said(win["run"])} over {_said(win["against"])}</th>{bars}</tr>')
    head = "".join(f'<th scope="col">{heads[by]}</th>' for by in columns)
    return (
        '<section aria-labelledby="wins">\n<h2 id="wins">Who wins</h2>\n'
        "<p>The share of questions that the first model answers better than the second, a tie counting half; "
        "95% intervals over the questions, each drawn with both answers. 50% is a draw.</p>\n"
        '<div class="wide" role="region" tabindex="0" aria-label="Win rates"><table class="numbers">'
        f'<thead><tr><th scope="col">Pair</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        "\n</section>"
    )


def _win_cell(win: Mapping[str, Any], by: str) -> str:
    if by not in win:
        return "<td>–</td>"
    return f"<td>{escape(win_text(win[by]))}</td>"


def _kinds(found: Mapping[str, Any]) -> str:
    kinds = list(dict.fromkeys(kind for run in found["runs"] for kind in run["by_kind"]))
    if not kinds:
        return ""
    parts = []
    for grade, title in (("right", "Right answers by kind"), ("wrong", "Wrong answers by kind")):
        head = "".join(f'<th scope="col">{_said(run["name"])}</th>' for run in found["runs"])
        body = []
        for kind in kinds:
            values = (run["by_kind"].get(kind, {}).get(grade) for run in found["runs"])
            shown = "".join(f"<td>{' '.join(cells(grade, v)) if v else '–'}</td>" for v in values)
            body.append(f'<tr><th scope="row">{_said(KINDS.get(kind, kind) or "all")}</th>{shown}</tr>')
        parts.append(
            f'<h3>{title}</h3><div class="wide" role="region" tabindex="0" aria-label="{title}"><table class="numbers">'
            f'<thead><tr><th scope="col">Question</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        )
    return f'<section aria-labelledby="kinds">\n<h2 id="kinds">By kind of question</h2>\n{"".join(parts)}\n</section>'


def _samples(found: Mapping[str, Any]) -> str:
    names = [run["name"] for run in found["runs"]]
    head = "".join(f"{_COLUMN}{_said(name)}</th>" for name in names)
    rows = []
    for sample in found["samples"]:
        expected = sample["expected"]
        wanted = f"<small>expected: <bdi>{_said(expected)}</bdi></small>" if expected else ""
        shown = "".join(_answer(name, sample["answers"][name]) for name in names)
        rows.append(f"{_ROW}<bdi>{_said(sample['prompt'])}</bdi>{wanted}</th>{shown}</tr>")
    return (
        '<section aria-labelledby="answers">\n<h2 id="answers">What they said</h2>\n'
        '<table class="answers" role="table" aria-labelledby="answers"><thead role="rowgroup">'
        f'<tr role="row"><th scope="col" role="columnheader">Question</th>{head}</tr></thead>\n'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>\n</section>'
    )


def _answer(name: str, given: Mapping[str, Any]) -> str:
    grade = given["grade"]
    mark = f'<span class="mark {grade}"><i aria-hidden="true">{GRADES[grade]}</i> {grade}</span>' if grade else ""
    reward = f" <small>reward {given['reward']:.2f}</small>" if given["reward"] is not None else ""
    said = _said(given["text"]) or "<em>(nothing)</em>"
    label = f'<span class="after" aria-hidden="true">{_said(name)}</span>'
    return f'<td role="cell" class="{grade or "none"}">{label}<bdi class="said">{said}</bdi>{mark}{reward}</td>'


def _notes() -> str:
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in NOTES)
    return f'<footer>\n<h2>What the numbers mean</h2>\n<dl class="notes">{notes}</dl>\n</footer>'


def _said(text: str) -> str:
    return escape(printable(str(text).strip()))
