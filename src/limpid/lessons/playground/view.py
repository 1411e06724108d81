"""What a playground shows of itself in a notebook: one SVG, no script."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from limpid.lessons.playground.activations import Array
from limpid.lessons.playground.features import FEATURES, LABELS, inputs_of
from limpid.lessons.playground.training import grid

if TYPE_CHECKING:
    from limpid.lessons.playground.training import Playground

PLUS, MINUS, ZERO = (8, 119, 189), (245, 147, 34), (232, 234, 235)
_BOX, _GAP, _STEP = 34, 110, 46


def overview(playground: Playground) -> str:
    """The net with a map in every neuron, the output over the points, and the losses."""
    maps = [inputs_of(grid(30), playground.settings.inputs).T.reshape(-1, 30, 30), *playground.maps(30)[:-1]]
    height = max(max(map(len, maps)) * _STEP, 260) + 40
    body, places = [], []
    for column, values in enumerate(maps):
        x, top = 70 + column * _GAP, (height - len(values) * _STEP) / 2
        places.append([(x, top + row * _STEP) for row in range(len(values))])
    out = 70 + len(maps) * _GAP
    places.append([(out, height / 2 - _BOX / 2)])
    for layer, weights in enumerate(playground.net.weights):
        for neuron, row in enumerate(weights):
            for source, weight in enumerate(row):
                (x1, y1), (x2, y2) = places[layer][source], places[layer + 1][neuron]
                body.append(_link(x1 + _BOX, y1 + _BOX / 2, x2, y2 + _BOX / 2, float(weight)))
    for layer, values in enumerate(maps):
        for (x, y), value in zip(places[layer], values, strict=True):
            body.append(f'<image x="{x}" y="{y:.1f}" width="{_BOX}" height="{_BOX}" href="{image(value)}"/>')
    names = [LABELS[name] for name in FEATURES if name in playground.settings.inputs]
    body += [
        f'<text x="{x - 8}" y="{y + 22:.1f}" text-anchor="end">{escape(name)}</text>'
        for (x, y), name in zip(places[0], names, strict=True)
    ]
    side, top = 240, (height - 240) / 2
    body.append(f'<image x="{out}" y="{top}" width="{side}" height="{side}" href="{image(playground.maps()[-1][0])}"/>')
    data = playground.data
    for (x, y), label in zip(data.points[: data.train], data.labels[: data.train], strict=True):
        body.append(
            f'<circle cx="{out + (x + 6) / 12 * side:.1f}" cy="{top + (6 - y) / 12 * side:.1f}" r="2.2" '
            f'fill="{colour(float(label))}" stroke="#fff" stroke-width="0.6"/>'
        )
    last = playground.history[-1]
    test = "" if np.isnan(last.test) else f", test {last.test:.3f}"
    words = f"epoch {last.epoch}: loss {last.train:.3f}{test}"
    if playground.exploded is not None:
        words = str(playground.explosion())
    width = out + side + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(words)}" style="font: 13px sans-serif" fill="currentColor">{"".join(body)}'
        f'<text x="{out}" y="{top - 8:.1f}">{escape(words)}</text></svg>'
    )


def _link(x1: float, y1: float, x2: float, y2: float, weight: float) -> str:
    middle, width = (x1 + x2) / 2, 0.5 + min(abs(weight), 5) / 5 * 8 if np.isfinite(weight) else 0.5
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" fill="none" '
        f'stroke="{colour(weight)}" stroke-width="{width:.1f}"/>'
    )


def colour(value: float) -> str:
    """From orange (-1) over grey (0) to blue (1)."""
    return "#" + bytes(_mixed(np.array(value)).tolist()).hex()


def image(values: Array) -> str:
    """Numbers from -1 to 1, (h, w), as the data: address of a PNG with a pixel each."""
    pixels = _mixed(values)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    size = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8, 2, 0, 0, 0)
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")
    packed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + packed).decode("ascii")


def _mixed(values: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    share = np.clip(np.nan_to_num(values), -1, 1)[..., None]
    end = np.where(share >= 0, np.array(PLUS), np.array(MINUS))
    return np.rint(np.array(ZERO) + np.abs(share) * (end - np.array(ZERO))).astype(np.uint8)
