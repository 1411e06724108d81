"""Views of what inspection finds, for notebooks and for the one file that `limpid inspect --html` writes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from limpid.inspection.markup import bars, framed, heat_map, image, number_table, page, shown, tint

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.findings import Findings
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens
    from limpid.inspection.stack import Stack
    from limpid.inspection.surgery import Effect, Sweep
    from limpid.inspection.trace import Trace

PLACES = 64
"""As many columns as a table of places has; of a longer text its end is shown."""


def overview(trace: Trace) -> str:
    """What a trace shows of itself in a notebook."""
    parts = [token_strip(trace), next_table(trace.next_tokens())]
    parts += [f"<h2>{heading}</h2>{body}" for heading, body in grids(trace)]
    return framed("".join(parts))


def whole_page(title: str, findings: Findings) -> str:
    """The one file that `limpid inspect --html` writes; every head at a glance where no single ones are asked for."""
    trace, kind, stack = findings.trace, findings.kind, findings.stack
    asked = "What comes next" if trace.subject.task is None else "What it answers"
    sections = [("Tokens", token_strip(trace)), (asked, next_table(findings.next))]
    for layer, head in findings.heads:
        heading = f"Attention, layer {layer}, head {head}"
        sections.append((heading, head_view(trace, layer, head, kind=kind, stack=stack)))
    if not findings.heads:
        sections += grids(trace)
    if findings.lens is not None:
        sections.append(("Logit lens", lens_table(findings.lens)))
    if findings.attribution is not None:
        sections.append(("What adds to the logit", attribution_view(findings.attribution)))
    if findings.scores is not None:
        sections.append(("Heads by what they look at", head_score_tables(findings.scores)))
    if findings.effect is not None:
        sections.append(("Ablation", effect_view(findings.effect)))
    if findings.comparison is not None:
        sections.append(("Beside the other checkpoint", comparison_view(findings.comparison)))
    about = f"{len(trace)} tokens, {trace.n_layer} layers of {trace.n_head} heads; every number is the model's own"
    return page(title, about, sections)


def token_strip(trace: Trace) -> str:
    """The text, each token tinted by its probability where it stands; a part of a character above the character."""
    lines = []
    for stack in trace.stacks.values():
        read = trace.read() if stack is trace.main else [None] * len(stack.ids)
        pieces = []
        for token, chance in zip(trace.tokens_of(stack), read, strict=True):
            title, style = f"id {token.token_id}", ""
            if chance is not None and chance.probability is not None:
                title += (
                    f", probability {chance.probability:.4f}, rank {chance.rank}, entropy {chance.entropy:.2f} bits"
                )
                style = tint(chance.probability)
            under = f"<small>{shown(token.character) if token.completes else '·'}</small>" if token.character else ""
            pieces.append(f'<span class="token" title="{title}" {style}>{shown(token.label)}{under}</span>')
        name = f'<p class="note">{stack.name}</p>' if len(trace.stacks) > 1 else ""
        lines.append(f'{name}<div class="tokens">{"".join(pieces)}</div>')
    return "".join(lines)


def next_table(found: NextTokens) -> str:
    """The candidates for what comes next."""
    note = f"entropy {found.entropy:.2f} bits; all others together {found.rest:.1%}"
    return bars([(c.label, c.probability) for c in found.candidates], percent=True) + f'<p class="note">{note}</p>'


def grids(trace: Trace) -> list[tuple[str, str]]:
    """Every head of every attention at a glance: (heading, grid)."""
    found = []
    for stack in trace.stacks.values():
        for kind in stack.kinds():
            name = "Attention" if kind == "attn" else "Cross-attention"
            of = f" of the {stack.name}" if len(trace.stacks) > 1 else ""
            found.append((f"{name}{of}: every head, layer by layer", _grid(trace, stack, kind)))
    return found


def _grid(trace: Trace, stack: Stack, kind: str) -> str:
    small = trace.thumbnails(64, kind=kind, stack=stack.name) / 255
    heads = small.shape[1]
    cells = ["<span></span>", *(f"<span>{head}</span>" for head in range(heads))]
    for layer, row in enumerate(small):
        cells.append(f"<span>{layer}</span>")
        cells += [
            f'<img src="{image(one)}" alt="layer {layer}, head {head}" title="layer {layer}, head {head}">'
            for head, one in enumerate(row)
        ]
    note = "rows look at columns; where tokens share a cell it shows the largest weight"
    columns = f"grid-template-columns: 1.5em repeat({heads}, 66px)"
    return f'<div class="grid" style="{columns}">{"".join(cells)}</div><p class="note">{note}</p>'


def head_view(trace: Trace, layer: int, head: int, *, kind: str = "attn", stack: str | None = None) -> str:
    """One head's weights: a row for each query."""
    chosen = trace.stack(stack)
    keys = chosen.reads if kind == "cross_attn" and chosen.reads else chosen
    return heat_map(
        trace.pattern(layer, head, kind=kind, stack=stack),
        [token.text for token in trace.tokens_of(chosen)],
        [token.text for token in trace.tokens_of(keys)],
        what=f"attention of layer {layer}, head {head}: each row a token that looks, each column one looked at",
    )


def lens_table(lens: Lens) -> str:
    """What each depth would say, the last on top; a cell is tinted by the probability of its token."""
    tokens = lens.trace.tokens
    first = max(0, len(lens.places) - PLACES)
    columns = range(first, len(lens.places))
    head = "".join(f"<th>{shown(tokens[lens.places[n]].text)}</th>" for n in columns)
    lines = []
    for depth in range(len(lens.ids) - 1, -1, -1):
        cells = []
        for n in columns:
            labels = lens.labels(depth, n)
            title = ", ".join(f"{t} {p:.1%}" for t, p in zip(labels, lens.probabilities[depth, n], strict=True))
            best = float(lens.probabilities[depth, n, 0])
            cells.append(f'<td class="cell" title="{escape(title)}" {tint(best)}>{shown(labels[0])}</td>')
        name = "embedding" if depth == 0 else f"after {depth - 1}"
        lines.append(f"<tr><th>{name}</th>{''.join(cells)}</tr>")
    cut = f'<p class="note">the last {PLACES} of {len(lens.places)} places</p>' if first else ""
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>{cut}"


def attribution_view(found: Attribution, count: int = 16) -> str:
    """The largest shares, and what they sum to."""
    rows = found.ranked()
    rest = sum(share for _, share in rows[count:])
    listed = [*rows[:count], (f"{len(rows) - count} others", rest)] if len(rows) > count else rows
    note = f"{found.title}: {found.logit:.4f}; the shares sum to {found.total:.4f}"
    return f'<p class="note">{shown(note)}</p>{bars(listed)}'


def head_score_tables(scores: HeadScores) -> str:
    """The four tables."""
    parts = []
    for kind in ("previous", "first", "duplicate", "induction"):
        table = getattr(scores, kind)
        names = [f"layer {n}" for n in range(len(table))], [str(n) for n in range(table.shape[1])]
        note = f'<p class="note">{kind}: best at layer {scores.best(kind)[0]}, head {scores.best(kind)[1]}</p>'
        parts.append(f"<div>{note}{number_table(table, *names)}</div>")
    return f'<div class="side">{"".join(parts)}</div>'


def effect_view(effect: Effect) -> str:
    """What changed, token by token."""
    lines = "".join(
        f'<tr><td class="cell">{shown(c.label)}</td><td class="n">{c.before:.2%}</td><td class="n">{c.after:.2%}</td>'
        f'<td class="n cell" {tint(c.after - c.before)}>{c.after - c.before:+.2%}</td></tr>'
        for c in effect.changes()
    )
    note = f"{effect.title}: divergence {effect.divergence:.4f} bits"
    return (
        f'<p class="note">{shown(note)}</p><table><tr><th></th><th>before</th><th>after</th><th>change</th></tr>'
        f"{lines}</table>"
    )


def sweep_view(sweep: Sweep) -> str:
    """Layers by places, or by heads."""
    layers = [f"layer {n}" for n in range(len(sweep.recovered))]
    if sweep.kind == "head":
        return number_table(sweep.recovered, layers, [str(n) for n in range(sweep.recovered.shape[1])])
    columns = [token.text for token in sweep.trace.tokens]
    return heat_map(sweep.recovered, layers, columns, what=f"what patching {sweep.kind} recovers")


def comparison_view(found: Comparison) -> str:
    """The tokens tinted by how far the predictions are apart, and the tables of the insides."""
    pieces = [
        f'<span class="token" title="{bits:.3f} bits apart" {tint(-min(1.0, float(bits)))}>{shown(token.text)}</span>'
        for token, bits in zip(found.first.tokens, found.divergence, strict=True)
    ]
    agree = f"the same first candidate at {found.agree.mean():.0%} of places"
    note = f"mean divergence {found.divergence.mean():.3f} bits; {agree}"
    parts = [f'<div class="tokens">{"".join(pieces)}</div><p class="note">{note}</p>']
    if found.attention is not None:
        names = [f"layer {n}" for n in range(len(found.attention))], [str(n) for n in range(found.attention.shape[1])]
        parts.append(
            f'<p class="note">how far each head\'s attention is apart</p>{number_table(found.attention, *names)}'
        )
    if found.residual is not None:
        means = found.residual.mean(1)
        rows = [("enters 0", means[0]), *((f"leaves {n}", value) for n, value in enumerate(means[1:]))]
        parts.append('<p class="note">cosine of the residual streams, mean over places</p>')
        parts.append(bars([(name, float(np.float64(value))) for name, value in rows]))
    return "".join(parts)
