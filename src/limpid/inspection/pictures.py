"""Pictures by matplotlib (the extra ``limpid[pictures]``): each function gives a Figure, which notebooks show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from limpid.inspection.attribution import Attribution
    from limpid.inspection.findings import Findings
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.trace import Trace

FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "PingFang SC", "Heiti SC", "Microsoft YaHei",
         "SimHei", "Arial Unicode MS", "DejaVu Sans")  # fmt: skip
LABELLED = 64
"""More tokens than this have no labels."""


def head_picture(trace: Trace, layer: int, head: int, *, kind: str = "attn", stack: str | None = None) -> Figure:
    """One head's weights: a row for each query, a column for each key."""
    chosen = trace.stack(stack)
    keys = chosen.reads if kind == "cross_attn" and chosen.reads else chosen
    weights = trace.pattern(layer, head, kind=kind, stack=stack)
    rows, columns = ([token.text for token in trace.tokens_of(of)] for of in (chosen, keys))
    figure = _figure(3 + 0.22 * min(len(columns), LABELLED), 2 + 0.22 * min(len(rows), LABELLED))
    axes = figure.add_subplot()
    drawn = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    _ticks(axes, rows, columns)
    axes.set_title(f"layer {layer}, head {head}")
    figure.colorbar(drawn, ax=axes, fraction=0.04)
    return figure


def layer_picture(
    trace: Trace, heads: Sequence[tuple[int, int]], *, kind: str = "attn", stack: str | None = None
) -> Figure:
    """One head as `head_picture` draws it, or several side by side without labels."""
    if len(heads) == 1:
        return head_picture(trace, *heads[0], kind=kind, stack=stack)
    columns = min(4, len(heads))
    figure = _figure(1 + 3 * columns, 1 + 3 * -(-len(heads) // columns))
    drawn = figure.subplots(-(-len(heads) // columns), columns, squeeze=False).flat
    for axes, (layer, head) in zip(drawn, heads, strict=False):
        axes.imshow(trace.pattern(layer, head, kind=kind, stack=stack), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_title(f"layer {layer}, head {head}")
    return figure


def grid_picture(trace: Trace, *, kind: str = "attn", stack: str | None = None) -> Figure:
    """Every head of every layer, small."""
    small = trace.thumbnails(64, kind=kind, stack=stack) / 255
    layers, heads = small.shape[:2]
    figure = _figure(1 + 1.1 * heads, 1 + 1.1 * layers)
    for number, axes in enumerate(figure.subplots(layers, heads, squeeze=False).flat):
        layer, head = divmod(number, heads)
        axes.imshow(small[layer, head], cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{layer}.{head}", fontsize=7, pad=2)
    return figure


def lens_picture(lens: Lens) -> Figure:
    """The most probable token of each depth at each of the last places, tinted by its probability."""
    shown = slice(max(0, len(lens.places) - LABELLED // 2), None)
    best = lens.probabilities[:, shown, 0]
    tokens = [lens.trace.tokens[place].text for place in lens.places[shown]]
    figure = _figure(2 + 0.85 * len(tokens), 1.5 + 0.35 * len(best))
    axes = figure.add_subplot()
    axes.imshow(best, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    first = len(lens.places) - len(tokens)
    for depth, place in np.ndindex(*best.shape):
        text = _drawable(lens.labels(depth, first + place)[0][:10])
        colour = "white" if best[depth, place] > 0.6 else "black"
        axes.text(
            place,
            depth,
            text,
            ha="center",
            va="center",
            fontsize=7,
            color=colour,
            parse_math=False,
            fontfamily=_families(),
        )
    _ticks(axes, ["embedding", *(f"after {n}" for n in range(len(best) - 1))], tokens)
    axes.set_title("logit lens")
    return figure


def attribution_picture(found: Attribution, count: int = 20) -> Figure:
    """The largest shares of a logit."""
    rows = found.ranked()[:count][::-1]
    figure = _figure(7, 1.2 + 0.25 * len(rows))
    axes = figure.add_subplot()
    colours = ["#3a6edc" if share >= 0 else "#d66a1e" for _, share in rows]
    axes.barh(range(len(rows)), [share for _, share in rows], color=colours)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_title(_drawable(f"{found.title}: {found.logit:.3f}"), parse_math=False, fontfamily=_families())
    return figure


def scores_picture(scores: HeadScores) -> Figure:
    """The four tables of head scores."""
    figure = _figure(12, 3.5)
    names = ("previous", "first", "duplicate", "induction")
    for name, axes in zip(names, figure.subplots(1, 4), strict=True):
        axes.imshow(getattr(scores, name), cmap="Blues", vmin=0, vmax=1)
        axes.set(title=name, xlabel="head", ylabel="layer")
    return figure


def picture(findings: Findings) -> Figure:
    """The one thing that is asked for: heads of a layer, the lens, the attribution, the scores; else every head.

    Raises:
        LimpidError: more than one is asked for, or what no picture is made of.
    """
    asked = [findings.lens, findings.attribution, findings.scores, findings.heads or None]
    if sum(one is not None for one in asked) > 1 or findings.effect is not None or findings.comparison is not None:
        raise LimpidError(
            "--png holds one picture: of every head, of a --layer's --head, --lens, --attribution or --scores; "
            "--html holds all."
        )
    if findings.lens is not None:
        return lens_picture(findings.lens)
    if findings.attribution is not None:
        return attribution_picture(findings.attribution)
    if findings.scores is not None:
        return scores_picture(findings.scores)
    if findings.heads:
        return layer_picture(findings.trace, findings.heads, kind=findings.kind, stack=findings.stack)
    return grid_picture(findings.trace, kind=findings.kind, stack=findings.stack)


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG; the file appears whole or not at all."""
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=144)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise LimpidError(
            "pictures need matplotlib, which is not installed: pip install 'limpid[pictures]' (--html needs nothing)."
        ) from None
    return Figure(figsize=(min(width, 40), min(height, 40)), layout="constrained")


def _ticks(axes: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Labels at both axes, where there is room for them."""
    for axis, labels, turn in ((axes.yaxis, rows, 0), (axes.xaxis, columns, 60)):
        if len(labels) <= LABELLED:
            axis.set_ticks(range(len(labels)), [_drawable(label) for label in labels], fontsize=8, rotation=turn)
            for text in axis.get_ticklabels():
                text.set_parse_math(False)
                text.set_fontfamily(_families())


@cache
def _families() -> list[str]:
    """The fonts of this machine, in the order they are asked for a character."""
    from matplotlib import font_manager

    there = set(font_manager.get_font_names())
    return [name for name in ("DejaVu Sans", *FONTS) if name in there]


@cache
def _characters() -> frozenset[int]:
    """Those that some font of `_families` can draw."""
    from matplotlib import font_manager

    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in _families())
    return frozenset().union(*(font.get_charmap() for font in fonts))


def _drawable(label: str) -> str:
    """A label, with the number of each character that no font here can draw: U+5E8A."""
    return "".join(c if ord(c) in _characters() else f"[U+{ord(c):04X}]" for c in label)


def pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """(h, w, 4) what a figure looks like."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
