"""What `limpid inspect` prints on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limpid.cli.answering import colour

if TYPE_CHECKING:
    from limpid.inspection.compare import Comparison
    from limpid.inspection.trace import Trace

PLACES = 12
"""Columns of the lens on a terminal; of a longer text its end is shown."""


def show(trace: Trace, wanted: dict[str, Any], other: Comparison | None) -> None:
    """The tokens and what comes next, and whatever else is wanted."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    _tokens(console, trace)
    _candidates(console, trace, wanted)
    for layer, head in wanted["attention"]:
        _head(console, trace, layer, head, wanted)
    if "lens" in wanted["sections"]:
        _lens(console, trace)
    if "attribution" in wanted["sections"]:
        _attribution(console, trace, wanted)
    if "scores" in wanted["sections"]:
        _scores(console, trace)
    if wanted["ablate"]:
        _ablation(console, trace, wanted)
    if other is not None:
        _comparison(console, other)


def _tokens(console: Console, trace: Trace) -> None:
    line = Text()
    for token, read in zip(trace.tokens, trace.read(), strict=True):
        line.append(token.text, style="bold" if read.probability is None else colour(read.probability))
        line.append("" if read.probability is None else f" {read.probability:.0%}", style="dim")
        line.append("  ")
    console.print(line)


def _candidates(console: Console, trace: Trace, wanted: dict[str, Any]) -> None:
    found = trace.next_tokens(wanted["count"], wanted["at"])
    table = _table(f"after place {found.at}: entropy {found.entropy:.2f} bits", "token", "id", "probability", "")
    largest = found.candidates[0].probability
    for c in found.candidates:
        bar = Text("█" * max(1, round(24 * c.probability / largest)), style=colour(c.probability))
        table.add_row(Text(c.label), str(c.token_id), f"{c.probability:.2%}", bar)
    console.print(table)


def _head(console: Console, trace: Trace, layer: int, head: int, wanted: dict[str, Any]) -> None:
    """Where each token looks most."""
    stack = trace.stack(wanted["stack"])
    keys = stack.reads if wanted["kind"] == "cross_attn" and stack.reads else stack
    weights = trace.pattern(layer, head, kind=wanted["kind"], stack=wanted["stack"])
    seen = trace.tokens_of(keys)
    table = _table(f"layer {layer}, head {head}: where each token looks", "place", "token", "most at", "", "")
    for place, (token, row) in enumerate(zip(trace.tokens_of(stack), weights, strict=True)):
        best = np.argsort(-row, kind="stable")[:3]
        table.add_row(str(place), Text(token.text), *(Text(f"{seen[i].text} ({i}) {row[i]:.0%}") for i in best))
    console.print(table)


def _lens(console: Console, trace: Trace) -> None:
    found = trace.lens(1)
    places = range(max(0, len(found.places) - PLACES), len(found.places))
    table = _table("logit lens", "", *(Text(trace.tokens[n].text) for n in places))
    for depth in range(len(found.ids) - 1, -1, -1):
        cells = [
            Text(f"{found.labels(depth, n)[0]} {found.probabilities[depth, n, 0]:.0%}",
                 style=colour(float(found.probabilities[depth, n, 0])))
            for n in places
        ]  # fmt: skip
        table.add_row("embedding" if depth == 0 else f"after {depth - 1}", *cells)
    console.print(table)


def _attribution(console: Console, trace: Trace, wanted: dict[str, Any]) -> None:
    found = trace.attribution(wanted["token"], wanted["against"], wanted["at"])
    table = _table(f"{found.title}: {found.logit:.4f}, shares sum to {found.total:.4f}", "part", "share")
    for name, share in found.ranked()[:16]:
        table.add_row(name, f"{share:+.4f}")
    console.print(table)


def _scores(console: Console, trace: Trace) -> None:
    found = trace.head_scores()
    table = _table("heads by what they look at", "score", "best heads", "", "")
    for kind in ("previous", "first", "duplicate", "induction"):
        scores = getattr(found, kind)
        best = np.argsort(-scores, axis=None, kind="stable")[:3]
        names = (np.unravel_index(n, scores.shape) for n in best)
        table.add_row(kind, *(f"layer {layer}, head {head}: {scores[layer, head]:.2f}" for layer, head in names))
    console.print(table)


def _ablation(console: Console, trace: Trace, wanted: dict[str, Any]) -> None:
    effect = trace.ablate(*wanted["ablate"], how=wanted["how"], at=wanted["at"])
    table = _table(f"{effect.title}: {effect.divergence:.4f} bits apart", "token", "before", "after", "change")
    for c in effect.changes(wanted["count"]):
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
