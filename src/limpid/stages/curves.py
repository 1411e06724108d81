"""Curves of a run's metrics and small interval bars, as SVG that a page holds inline.

Colours come from the page: a series is of class ``s0`` .. ``s5``, and is also named beside the end of its line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

Point = tuple[float, float]

WIDTH, HEIGHT = 360, 214
LEFT, TOP, BOTTOM = 42, 10, 28
MOST_POINTS = 240  # of one drawn line
LABEL_GAP = 12.5  # between two names at the ends of lines
LETTER = 5.8  # about the width of a letter of a label
COLOURS = 6

_SKIPPED = ("step", "tokens", "seconds")  # their quotient, tokens_per_second, is drawn
_ALONE = {
    "reward": ("Reward", "mean grade of the sampled answers, −1 to +1"),
    "kl": ("KL", "distance from the fine-tuned model, nats a token"),
    "length": ("Length", "tokens in an answer"),
    "margin": ("Margin", "implicit reward of the better answer above the worse one's"),
    "accuracy": ("Order", "share of pairs whose better answer has the larger implicit reward"),
    "validation_accuracy": ("Held-out pairs", "share in the right order"),
    "entropy": ("Entropy", "how undecided each next token is, nats"),
    "wrong": ("Wrong while sampling", "share of sampled answers"),
    "informative_groups": ("Groups that teach", "questions whose samples got different grades"),
    "tokens_per_second": ("Speed", "tokens a second"),
    "grad_norm": ("Gradient norm", "before clipping"),
    "learning_rate": ("Learning rate", "as a factor of the base rates"),
    "memory_bytes": ("Memory", "bytes that the process holds"),
    "utilisation": ("Utilisation", "share of the machine's own matrix products a second"),
}
_SHARES = ("utilisation", "wrong", "informative_groups", "accuracy", "validation_accuracy")
_MACHINERY = ("tokens_per_second", "grad_norm", "learning_rate", "memory_bytes", "utilisation")


class Series(NamedTuple):
    """A named line; ``smooth`` draws its moving mean over the faint points."""

    name: str
    points: list[Point]
    smooth: bool


class Panel(NamedTuple):
    """One drawing.

    levels: named horizontal lines. share: values are shares, shown as percentages. minor: of less interest.
    """

    stage: str
    title: str
    note: str
    series: list[Series]
    levels: dict[str, float]
    share: bool
    minor: bool


def panels(stage: str, records: Sequence[Mapping[str, Any]], baselines: Mapping[str, float]) -> list[Panel]:
    """Every numeric series of a stage's metrics in sensible groups, the telling ones first."""
    training: dict[str, list[Point]] = {}
    held_out: dict[str, list[Point]] = {}
    for record in records:
        looked = any(key.startswith(("validation_", "right/")) for key in record)
        for key, value in record.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if key not in _SKIPPED and number and math.isfinite(value):
                (held_out if looked else training).setdefault(key, []).append((float(record["step"]), float(value)))
    found: list[Panel] = []

    def add(title: str, note: str, series: list[Series], *, share: bool = False, minor: bool = False) -> None:
        levels = dict(baselines) if title == "Bits per byte" else {}
        found.append(Panel(stage, title, note, series, levels, share, minor))

    loss = [Series("training", training.pop("loss"), True)] if "loss" in training else []
    if "validation_nats" in held_out:
        loss.append(Series("held out", held_out.pop("validation_nats"), False))
    if "validation_loss" in held_out:
        loss.append(Series("held out", held_out.pop("validation_loss"), False))
    if loss and stage not in ("grpo", "ppo"):
        add("Loss", {"reward": "nats a pair", "dpo": "of the pairs and the text"}.get(stage, "nats a token"), loss)
    if "validation_accuracy" in held_out:
        add(
            *_ALONE["validation_accuracy"], [Series("held out", held_out.pop("validation_accuracy"), False)], share=True
        )
    if "validation_bits_per_byte" in held_out:
        bits = held_out.pop("validation_bits_per_byte")
        add("Bits per byte", "held-out text, lower is better", [Series("held out", bits, False)])
    for key in [key for key in _ALONE if key in training and key not in _MACHINERY]:
        add(*_ALONE[key], [Series(key, training.pop(key), True)], share=key in _SHARES)
    right = [
        Series(key.removeprefix("right/"), held_out.pop(key), False) for key in sorted(held_out) if "right/" in key
    ]
    if "wrong" in held_out:
        right.append(Series("any wrong", held_out.pop("wrong"), False))
    if right:
        add("Right answers", "a few held-out questions of each kind", right, share=True)
    if loss and stage in ("grpo", "ppo"):
        add("Loss", "of the policy gradient: its size means little", loss, minor=True)
    for key, points in (training | held_out).items():
        title, note = _ALONE.get(key, (key.replace("_", " "), ""))
        add(title, note, [Series(key, points, key in training and key != "learning_rate")], minor=True)
    return sorted(found, key=lambda panel: panel.minor)


def moving_mean(points: Sequence[Point]) -> list[Point]:
    """Each value averaged with as many on its left as on its right, up to a 25th of the line.

    The first values are left nearly alone, since a loss falls fastest there.
    """
    reach = max(len(points) // 25, min(3, len(points) // 8))
    sums = [0.0]
    for _, y in points:
        sums.append(sums[-1] + y)
    smoothed = []
    for i, (x, _) in enumerate(points):
        half = min(reach, i, len(points) - 1 - i)
        if i > len(points) - 1 - reach:  # near the end look further back, or the last value is one noisy step
            half_back = min(reach, i)
            smoothed.append((x, (sums[-1] - sums[i - half_back]) / (len(points) - i + half_back)))
        else:
            smoothed.append((x, (sums[i + half + 1] - sums[i - half]) / (2 * half + 1)))
    return smoothed


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about ``most`` of the points, the lowest and highest of each stretch among them."""
    if len(points) <= most:
        return list(points)
    stretch = math.ceil(2 * len(points) / most)
    kept = [points[0]]
    for at in range(0, len(points), stretch):
        part = points[at : at + stretch]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*kept, points[-1]]


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from low to high, about so many."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.85)
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def number(value: float, share: bool = False) -> str:
    """A value as an axis or a label says it."""
    if share:
        whole = value >= 0.1 or math.isclose(100 * value, round(100 * value), abs_tol=1e-6)
        return f"{100 * value:.{0 if whole else 1}f}%"
    size = abs(value)
    if size >= 10_000:
        return f"{value / 1000:.3g}k"
    text = f"{value:,.0f}" if size >= 100 else f"{value:.3g}"
    return text.replace("-", "−")


def draw(panel: Panel, key: str) -> str:
    """The panel as one SVG element; ``key`` makes its ids unique in the page."""
    xs = [x for series in panel.series for x, _ in series.points]
    ys = [y for series in panel.series for _, y in series.points] + list(panel.levels.values())
    x0, x1 = min(xs), max(xs)
    y0, y1 = min(ys), max(ys)
    x0 = 0.0 if 0 <= x0 <= 0.2 * x1 else x0
    x0, x1 = (x0 - 1, x1 + 1) if x0 == x1 else (x0, x1)
    pad = 0.06 * (y1 - y0) or 0.1 * abs(y0) or 1.0
    low, high = 0.0 if 0 <= y0 < 0.35 * y1 else y0 - pad, y1 + pad
    if panel.share:
        low, high = 0.0, 1.0 if y1 > 0.5 else max(1.2 * y1, 0.02)
    ends = [_end(series, panel.share, len(panel.series) > 1) for series in panel.series]
    right = WIDTH - 10 - LETTER * max(len(text) for _, text in ends)

    def px(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * (right - LEFT)

    def py(y: float) -> float:
        return TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(points: Sequence[Point]) -> str:
        return "M" + "L".join(f"{px(x):.1f} {py(y):.1f}" for x, y in points)

    parts = []
    for y in ticks(low, high):
        parts.append(f'<path class="grid" d="M{LEFT} {py(y):.1f}H{right:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{py(y) + 3.5:.1f}" text-anchor="end">{number(y, panel.share)}</text>'
        )
    for x in ticks(x0, x1):
        parts.append(f'<text class="tick" x="{px(x):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{number(x)}</text>')
    parts.append(f'<text class="tick" x="{LEFT - 10}" y="{HEIGHT - 12}" text-anchor="end">step</text>')
    beside = _apart([py(y) - 4 for y in panel.levels.values()], TOP + 8, HEIGHT - BOTTOM)
    for (name, y), height in zip(panel.levels.items(), beside, strict=True):
        parts.append(f'<path class="level" d="M{LEFT} {py(y):.1f}H{right:.1f}"/>')
        label = f"{escape(name)} {y:.2f}"
        parts.append(f'<text class="tick" x="{right - 2:.1f}" y="{height:.1f}" text-anchor="end">{label}</text>')
    for place, series in enumerate(panel.series):
        if series.smooth:
            parts.append(f'<path class="raw s{place % COLOURS}" d="{path(thinned(series.points))}"/>')
        line = thinned(moving_mean(series.points)) if series.smooth else thinned(series.points)
        parts.append(f'<path class="line s{place % COLOURS}" d="{path(line)}" data-name="{escape(series.name)}"/>')
        if len(line) <= 40 and not series.smooth:
            parts += [
                f'<circle class="dot s{place % COLOURS}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="1.8"/>' for x, y in line
            ]
    heights = _apart([py(y) for y, _ in ends], TOP + 2, HEIGHT - BOTTOM)
    for place, ((_, text), height) in enumerate(zip(ends, heights, strict=True)):
        parts.append(
            f'<text class="name s{place % COLOURS}" x="{right + 5:.1f}" y="{height + 3.5:.1f}">{escape(text)}</text>'
        )
    scale = f'data-x="{LEFT} {right:.2f} {x0} {x1}" data-y="{TOP} {HEIGHT - BOTTOM} {high} {low}"'
    named = f'role="img" aria-labelledby="{key}-title {key}-desc"'
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" {named} {scale} data-share="{int(panel.share)}">'
        f'<title id="{key}-title">{escape(panel.title)}</title><desc id="{key}-desc">{escape(describe(panel))}</desc>'
        f"{''.join(parts)}</svg>"
    )


def describe(panel: Panel) -> str:
    """The drawing in words: where each line begins and ends."""
    said = []
    for series in panel.series:
        line = moving_mean(series.points) if series.smooth else series.points
        first, last = number(line[0][1], panel.share), number(line[-1][1], panel.share)
        said.append(f"{series.name} from {first} at step {line[0][0]:.0f} to {last} at step {line[-1][0]:.0f}")
    return "; ".join([*said, *(f"{name} at {number(y, panel.share)}" for name, y in panel.levels.items())]) + "."


def interval_bar(
    measures: Sequence[tuple[str, Mapping[str, float | None]]], low: float, high: float, title: str
) -> str:
    """Values (a stroke) in their intervals (a box) on one scale, one above the other, each of the class of its stage.

    The drawing is stretched to the width that the page gives it, so it holds nothing round and no text.
    """
    width, row = 200, 11
    height = row * len(measures) + 3

    def px(value: float) -> float:
        return 2 + (min(max(value, low), high) - low) / ((high - low) or 1.0) * (width - 4)

    parts = [f'<path class="grid" d="M2 {height / 2}H{width - 2}M2 0V{height}M{width - 2} 0V{height}"/>']
    for place, (stage, measure) in enumerate(measures):
        value, y = measure["value"], 2 + row * place
        assert value is not None
        kind = stage or "base"
        if measure["low"] is not None and measure["high"] is not None:
            start, end = px(measure["low"]), px(measure["high"])
            parts.append(
                f'<rect class="reach {kind}" x="{start:.2f}" y="{y + 1}" width="{end - start:.2f}" height="7"/>'
            )
        parts.append(f'<path class="value {kind}" d="M{px(value):.2f} {y}v9"/>')
    return (
        f'<svg class="interval" viewBox="0 0 {width} {height}" height="{height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _end(series: Series, share: bool, named: bool) -> tuple[float, str]:
    """The last value and its label."""
    value = (moving_mean(series.points) if series.smooth else series.points)[-1][1]
    return value, f"{series.name} {number(value, share)}" if named else number(value, share)


def _apart(heights: list[float], low: float, high: float) -> list[float]:
    """The heights of labels moved just so far that none covers another and all stay between low and high."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    floor = low
    for i in order:
        placed[i] = floor = max(placed[i], floor)
        floor += LABEL_GAP
    ceiling = high
    for i in reversed(order):
        placed[i] = ceiling = min(placed[i], ceiling)
        ceiling -= LABEL_GAP
    return placed
