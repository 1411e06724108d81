"""What `limpid inspect` prints on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limpid.cli.answering import colour

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.findings import Findings
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens
    from limpid.inspection.surgery import Effect
    from limpid.inspection.trace import Trace

PLACES = 12
"""Columns of the lens on a terminal; of a longer text its end is shown."""


def show(findings: Findings) -> None:
    """The tokens and what comes next, and whatever else was asked for."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    _tokens(console, findings.trace)
    _candidates(console, findings.trace, findings.next)
    for layer, head in findings.heads:
        _head(console, findings, layer, head)
    if findings.lens is not None:
        _lens(console, findings.lens)
    if findings.attribution is not None:
        _attribution(console, findings.attribution)
    if findings.scores is not None:
        _scores(console, findings.scores)
    if findings.effect is not None:
        _ablation(console, findings.effect)
    if findings.comparison is not None:
        _comparison(console, findings.comparison)


def _tokens(console: Console, trace: Trace) -> None:
    line = Text()
    for token, read in zip(trace.tokens, trace.read(), strict=True):
        line.append(token.text, style="bold" if read.probability is None else colour(read.probability))
        line.append("" if read.probability is None else f" {read.probability:.0%}", style="dim")
        line.append("  ")
    console.print(line)


def _candidates(console: Console, trace: Trace, found: NextTokens) -> None:
    task = trace.subject.task
    if task is not None and trace.subject.outputs == 1:
        score = task.config.mean + task.config.deviation * found.candidates[0].logit
        console.print(f"read up to place {found.at}, its score is {score:.4g}")
        return
    after = f"after place {found.at}" if task is None else f"its answer, read up to place {found.at}"
    what = "token" if task is None else "class"
    table = _table(f"{after}: entropy {found.entropy:.2f} bits", what, "id", "probability", "")
    largest = found.candidates[0].probability
    for c in found.candidates:
        bar = Text("█" * max(1, round(24 * c.probability / largest)), style=colour(c.probability))
        table.add_row(Text(c.label), str(c.token_id), f"{c.probability:.2%}", bar)
    console.print(table)


def _head(console: Console, findings: Findings, layer: int, head: int) -> None:
    """Where each token looks most."""
    trace = findings.trace
    stack = trace.stack(findings.stack)
    keys = stack.reads if findings.kind == "cross_attn" and stack.reads else stack
    weights = trace.pattern(layer, head, kind=findings.kind, stack=findings.stack)
    seen = trace.tokens_of(keys)
    table = _table(f"layer {layer}, head {head}: where each token looks", "place", "token", "most at", "", "")
    for place, (token, row) in enumerate(zip(trace.tokens_of(stack), weights, strict=True)):
        best = np.argsort(-row, kind="stable")[:3]
        table.add_row(str(place), Text(token.text), *(Text(f"{seen[i].text} ({i}) {row[i]:.0%}") for i in best))
    console.print(table)


def _lens(console: Console, found: Lens) -> None:
    places = range(max(0, len(found.places) - PLACES), len(found.places))
    table = _table("logit lens", "", *(Text(found.trace.tokens[n].text) for n in places))
    for depth in range(len(found.ids) - 1, -1, -1):
        cells = [
            Text(f"{found.labels(depth, n)[0]} {found.probabilities[depth, n, 0]:.0%}",
                 style=colour(float(found.probabilities[depth, n, 0])))
            for n in places
        ]  # fmt: skip
        table.add_row("embedding" if depth == 0 else f"after {depth - 1}", *cells)
    console.print(table)


def _attribution(console: Console, found: Attribution) -> None:
    table = _table(f"{found.title}: {found.logit:.4f}, shares sum to {found.total:.4f}", "part", "share")
    for name, share in found.ranked()[:16]:
        table.add_row(name, f"{share:+.4f}")
    console.print(table)


def _scores(console: Console, found: HeadScores) -> None:
    table = _table("heads by what they look at", "score", "best heads", "", "")
    for kind in ("previous", "first", "duplicate", "induction"):
        scores = getattr(found, kind)
        best = np.argsort(-scores, axis=None, kind="stable")[:3]
        names = (np.unravel_index(n, scores.shape) for n in best)
        table.add_row(kind, *(f"layer {layer}, head {head}: {scores[layer, head]:.2f}" for layer, head in names))
    console.print(table)


def _ablation(console: Console, effect: Effect) -> None:
    table = _table(f"{effect.title}: {effect.divergence:.4f} bits apart", "token", "before", "after", "change")
    for c in effect.changes():
        table.add_row(Text(c.label), f"{c.before:.2%}", f"{c.after:.2%}", f"{c.after - c.before:+.2%}")
    console.print(table)


def _comparison(console: Console, found: Comparison) -> None:
    agree = f"the same first candidate at {found.agree.mean():.0%} of places"
    console.print(f"beside the other checkpoint: {found.divergence.mean():.3f} bits apart on average, {agree}")
    if found.attention is not None:
        layers = ", ".join(f"{n}: {row.mean():.2f}" for n, row in enumerate(found.attention))
        console.print(f"attention apart, mean of each layer's heads: {layers}", style="dim")


def _table(title: str, *columns: str | Text) -> Table:
    table = Table(title=Text(title, style="italic"), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    return table
