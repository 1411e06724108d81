"""A lesson's pictures as SVG, for notebooks and the documentation: readable on light and on dark paper."""

from __future__ import annotations

from html import escape

from limpid.lessons.draw import Picture

INK, HEAT, COLD = "#777c82", (34, 100, 158), (190, 105, 40)
LINES = ("#3a7fbd", "#c9702b", "#8a5aa8", "#4f8f5b", "#a8322a", "#777c82")
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def svg(picture: Picture) -> str:
    """The picture as one <svg> element."""
    body, width, height = {"bars": _bars, "matrix": _matrix, "curves": _curves}[picture.kind](picture)
    title = f"<title>{escape(picture.title)}</title>" if picture.title else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'{head} {_FONT} fill="{INK}" role="img">{title}{body}</svg>'


def short(value: float) -> str:
    """Three digits that mean something; what is only rounding is 0."""
    if abs(value) < 1e-9:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _em(text: str) -> int:
    """About how wide a text is; Chinese characters are twice as wide."""
    return sum(12 if ord(c) > 0x2E7F else 7 for c in text)


def _bars(picture: Picture) -> tuple[str, int, int]:
    values = picture.rows[0]
    left = 12 + max(map(_em, picture.columns), default=0)
    most = max([abs(v) for v in values] + [1e-30])
    zero = left + (120 if min(values) < 0 else 0)
    room = 260 if min(values) >= 0 else 120
    parts = []
    for i, (name, value) in enumerate(zip(picture.columns, values, strict=True)):
        y, long = 4 + 22 * i, abs(value) / most * room
        x = zero if value >= 0 else zero - long
        parts.append(f'<text x="{left - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{long:.1f}" height="17" fill="{LINES[value < 0]}" rx="2"/>')
        parts.append(f'<text x="{zero + (long if value >= 0 else 0) + 6:.1f}" y="{y + 13}">{short(value)}</text>')
    return "".join(parts), zero + room + 60, 8 + 22 * len(values)


def _matrix(picture: Picture) -> tuple[str, int, int]:
    rows, count = picture.rows, len(picture.rows[0])
    small = count > 16 or len(rows) > 16
    side, high = (max(3, 480 // count), max(3, min(24, 360 // len(rows)))) if small else (52, 26)
    left = 8 + max(map(_em, picture.names), default=0) + (8 if picture.names else 0)
    top = 22 if picture.columns else 4
    most = max([abs(v) for row in rows for v in row if abs(v) < 1e300] + [1e-30])
    parts = []
    for x, name in enumerate(picture.columns):
        parts.append(f'<text x="{left + side * (x + 0.5):.1f}" y="15" text-anchor="middle">{escape(name)}</text>')
    for y, row in enumerate(rows):
        if picture.names:
            parts.append(
                f'<text x="{left - 6}" y="{top + high * y + 17}" text-anchor="end">{escape(picture.names[y])}</text>'
            )
        for x, value in enumerate(row):
            red, green, blue = HEAT if value >= 0 else COLD
            share = min(1.0, abs(value) / most)
            place = f'x="{left + side * x}" y="{top + high * y}" width="{side}" height="{high}"'
            parts.append(f'<rect {place} fill="rgb({red},{green},{blue})" fill-opacity="{share:.2f}"/>')
            if not small:
                ink = "#fff" if share > 0.6 else INK
                middle = f'x="{left + side * (x + 0.5):.1f}" y="{top + high * y + 17}"'
                parts.append(f'<text {middle} text-anchor="middle" fill="{ink}">{_cell(value)}</text>')
    return "".join(parts), left + side * count + 8, top + high * len(rows) + 6


def _cell(value: float) -> str:
    return "−∞" if value == float("-inf") else short(value)


def _curves(picture: Picture) -> tuple[str, int, int]:
    x, wide, high, left = picture.columns, 460, 200, 46
    values = [v for row in picture.rows for v in row]
    low, top = min(values), max(values)
    span, length = (top - low) or 1.0, (x[-1] - x[0]) or 1.0
    parts = [f'<path d="M{left} 10V{high + 10}H{left + wide}" fill="none" stroke="{INK}" stroke-opacity=".5"/>']
    for label, y in ((short(top), 16), (short(low), high + 10)):
        parts.append(f'<text x="{left - 6}" y="{y}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{left}" y="{high + 26}">{short(x[0])}</text>')
    parts.append(f'<text x="{left + wide}" y="{high + 26}" text-anchor="end">{short(x[-1])}</text>')
    for i, (name, row) in enumerate(zip(picture.names, picture.rows, strict=True)):
        points = " ".join(
            f"{left + (a - x[0]) / length * wide:.1f},{10 + (top - b) / span * high:.1f}"
            for a, b in zip(x, row, strict=True)
        )
        color = LINES[i % len(LINES)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.8"/>')
        parts.append(f'<rect x="{left + wide + 12}" y="{14 + 20 * i}" width="14" height="3" fill="{color}"/>')
        parts.append(f'<text x="{left + wide + 32}" y="{20 + 20 * i}">{escape(name)}</text>')
    return "".join(parts), left + wide + 44 + max(map(_em, picture.names)), high + 34
