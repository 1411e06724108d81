"""HTML and images of numbers: escaped, of one piece, the same in light and in dark; nothing is fetched."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

PLUS, MINUS = (58, 110, 220), (214, 106, 30)
CELL = 14
"""Pixels of a heat map's cell that has a label."""
LABELLED = 96
"""More rows or columns than this have no labels."""


def framed(body: str) -> str:
    """A piece for a notebook, with the style it needs."""
    return f'<div class="limpid"><style>{_style()}</style>{body}</div>'


def page(title: str, about: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole page: one file. sections: (heading, body)."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    body = "\n".join(f"<section><h2>{escape(heading)}</h2>\n{content}</section>" for heading, content in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n"
        f'<body class="limpid">\n<header><h1>{escape(title)}</h1><p class="note">{escape(about)}</p></header>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


@cache
def _style() -> str:
    return (Path(__file__).parent / "inspect.css").read_text(encoding="utf-8")


def shown(label: str) -> str:
    """A label as HTML: its own direction does not turn the line around it."""
    return f"<bdi>{escape(label)}</bdi>"


def tint(share: float) -> str:
    """A style attribute: the background of a number from -1 to 1."""
    colour = "--plus" if share >= 0 else "--minus"
    return f'style="background: rgb(var({colour}) / {min(1.0, abs(share)) * 0.75:.3f})"'


def bars(rows: Sequence[tuple[str, float]], *, percent: bool = False) -> str:
    """Rows of a label, a bar and its number."""
    largest = max((abs(value) for _, value in rows), default=0.0) or 1.0
    lines = []
    for label, value in rows:
        number = f"{value:.1%}" if percent else f"{value:+.3f}"
        kind = "bar minus" if value < 0 else "bar"
        bar = f'<span class="{kind}" style="width: {160 * abs(value) / largest:.1f}px"></span>'
        lines.append(f'<tr><td class="cell">{shown(label)}</td><td class="n">{number}</td><td>{bar}</td></tr>')
    return f"<table>{''.join(lines)}</table>"


def number_table(
    rows: npt.NDArray[np.floating], row_names: Sequence[str], column_names: Sequence[str], *, largest: float = 1.0
) -> str:
    """A table of numbers, each tinted by its size."""
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *column_names))
    lines = []
    for name, row in zip(row_names, rows, strict=True):
        cells = "".join(
            f'<td class="n cell" {tint(float(v) / (largest or 1))}>{float(v):.2f}</td>' for v in row
        )  # fmt: skip
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def heat_map(
    values: npt.NDArray[np.floating], row_labels: Sequence[str], column_labels: Sequence[str], *, what: str
) -> str:
    """A matrix of numbers from -1 to 1 as one image, a cell a pixel, with labels where there is room for them."""
    rows, columns = values.shape
    labelled = max(rows, columns) <= LABELLED
    cell = CELL if labelled else max(1, 960 // max(rows, columns))
    left, top = (120, 90) if labelled else (0, 0)
    width, height = left + columns * cell, top + rows * cell
    words = []
    if labelled:
        for n, name in enumerate(row_labels):
            words.append(
                f'<text x="{left - 6}" y="{top + (n + 0.78) * cell:.1f}" text-anchor="end">{_short(name)}</text>'
            )
        for n, name in enumerate(column_labels):
            x = left + (n + 0.78) * cell
            words.append(f'<text transform="translate({x:.1f} {top - 6}) rotate(-60)">{_short(name)}</text>')
    right = 60 if labelled else 0
    return (
        f'<svg width="{width + right}" height="{height}" viewBox="0 0 {width + right} {height}" role="img" '
        f'aria-label="{escape(what)}"><image x="{left}" y="{top}" width="{columns * cell}" height="{rows * cell}" '
        f'preserveAspectRatio="none" href="{image(values)}"/>{"".join(words)}</svg>'
    )


def image(values: npt.NDArray[np.floating]) -> str:
    """Numbers from -1 to 1, (h, w), as the data: address of a PNG with a pixel each; see `png`."""
    return f"data:image/png;base64,{base64.b64encode(png(values)).decode()}"


def png(values: npt.NDArray[np.floating]) -> bytes:
    """Numbers from -1 to 1, (h, w): a PNG whose pixels are blue from 0 to 1 and orange below 0, as opaque as they are
    large, so that 0 shows what lies behind, be it light or dark. Opacity has 127 steps."""
    steps = np.rint(np.clip(np.nan_to_num(values), -1, 1) * 127).astype(np.int16)
    levels = np.where(steps >= 0, steps, 127 - steps).astype(np.uint8)  # 0..127 plus, 128..254 minus
    palette = bytes(PLUS) * 128 + bytes(MINUS) * 127
    alpha = bytes(round(n * 255 / 127) for n in (*range(128), *range(1, 128)))
    lines = b"".join(b"\0" + row.tobytes() for row in levels)
    size = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 8, 3, 0, 0, 0)
    chunks = (b"IHDR", size), (b"PLTE", palette), (b"tRNS", alpha), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _short(name: str, most: int = 14) -> str:
    return escape(name if len(name) <= most else name[: most - 1] + "…")
