"""What a classifier was measured to be, as report.json, report.md and a picture of its confusions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from limpid.core.paths import atomic_write_text
from limpid.stages.recipe import ClassifySection

CELL, MARGIN, HEAD = 64, 110, 46  # of the picture, in pixels
LONGEST_LABEL = 14
MOST_CLASSES = 40
"""More are counted in report.json but not drawn."""


def write_report(folder: Path, section: ClassifySection, found: Mapping[str, Any]) -> None:
    """Write the three files into ``folder``; ``found`` is what `final_measures` gives, with step and steps."""
    atomic_write_text(folder / "report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    drawn = "confusion" in found and len(found["confusion"]) <= MOST_CLASSES
    if drawn:
        atomic_write_text(folder / "confusion.svg", confusion_svg(found["confusion"], found["labels"]))
    lines = [
        f"# {section.path}: {section.form}",
        "",
        f"{found['test_examples']:,} test examples; the checkpoint of step {found['step']:,} of {found['steps']:,}, "
        "best in validation. In brackets: 95% intervals, by drawing the test examples again and again.",
        "",
        "| measure | this model | " + (f"{found['baseline']['name']} |" if "baseline" in found else "|"),
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in measure_rows(found)),
        "",
    ]
    if "baseline" in found:
        lines += [
            f"The linear model is fitted to {found['baseline']['features']:,} n-grams of the same training examples; "
            f"its regularisation (C = {found['baseline']['c']:g}) is the best in validation.",
            "",
        ]
    if len(found["labels"]) == 2:
        lines += [f"F1 is that of the class '{found['labels'][1]}'; macro F1 is the mean over both.", ""]
    if drawn:
        lines += ["![Confusion matrix: rows are true classes, columns predicted ones](confusion.svg)", ""]
    atomic_write_text(folder / "report.md", "\n".join(lines))


def measure_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(measure, this model's, the baseline's), each value with its interval."""
    rival = found.get("baseline", {}).get("measures", {})
    return [
        (name, _interval(measure), _interval(rival[name]) if name in rival else "")
        for name, measure in found["measures"].items()
    ]


def confusion_svg(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """A square of cells, a row for each true class, its shares in shades; each cell says its count."""
    size = MARGIN + CELL * len(labels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size + 10}" height="{size - MARGIN + HEAD + 30}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN + CELL * len(labels) / 2}" y="16" text-anchor="middle">predicted</text>',
        f'<text x="8" y="{HEAD - 8}">true</text>',
    ]
    for row, (name, line) in enumerate(zip(labels, counts, strict=True)):
        y = HEAD + row * CELL
        shown = escape(_short(name))
        parts.append(
            f'<text x="{MARGIN + row * CELL + CELL / 2}" y="{HEAD - 8}" text-anchor="middle">{shown}</text>'
            f'<text x="{MARGIN - 8}" y="{y + CELL / 2 + 5}" text-anchor="end">{shown}</text>'
        )
        for column, count in enumerate(line):
            share = count / max(1, sum(line))
            x = MARGIN + column * CELL
            colour = "white" if share > 0.55 else "black"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="#1f5a9c" '
                f'fill-opacity="{share:.3f}" stroke="#ccc"/>'
                f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 5}" text-anchor="middle" fill="{colour}">{count}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _interval(measure: Mapping[str, float]) -> str:
    return f"{measure['value']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
