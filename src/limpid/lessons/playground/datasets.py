"""The points that nets learn from: the formulas of TensorFlow Playground's dataset.ts, random numbers in its order.

A generator takes (count, noise, random) and returns rows of x1, x2, label: (count, 3). Classes are +1 and -1. noise is
the dial's value / 100.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.lessons.playground.seeded import SeededRandom

Floats = npt.NDArray[np.float64]
Generator = Callable[[int, float, SeededRandom], Floats]
CLASSIFICATION_COUNT, REGRESSION_COUNT = 500, 1200
CENTRES = np.array([(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)])
"""x1, x2 and sign of multi-gauss's six hills."""


class Data(NamedTuple):
    """points: (N, 2). labels: (N). The first ``train`` of them are learned from, the others only tested on."""

    points: Floats
    labels: Floats
    train: int


def circle(count: int, noise: float, random: SeededRandom) -> Floats:
    """A disc of radius 2.5 in a ring from 3.5 to 5; the label is that of the place after U(-5, 5) n was added."""
    rows = []
    for low, high in ((0.0, 2.5), (3.5, 5.0)):
        draws = random.numbers(count // 2, 4)
        radius, angle = low + draws[:, 0] * (high - low), draws[:, 1] * 2 * np.pi
        places = np.column_stack((radius * np.sin(angle), radius * np.cos(angle)))
        moved = places + (draws[:, 2:] * 10 - 5) * noise
        rows.append(np.column_stack((places, np.where(np.hypot(*moved.T) < 2.5, 1.0, -1.0))))
    return np.concatenate(rows)


def xor(count: int, noise: float, random: SeededRandom) -> Floats:
    """U(-5, 5) each, pushed 0.3 off the axes; +1 where both signs are the same after U(-5, 5) n was added."""
    draws = random.numbers(count, 4) * 10 - 5
    places = draws[:, :2] + np.where(draws[:, :2] > 0, 0.3, -0.3)
    moved = places + draws[:, 2:] * noise
    return np.column_stack((places, np.where(moved[:, 0] * moved[:, 1] >= 0, 1.0, -1.0)))


def gauss(count: int, noise: float, random: SeededRandom) -> Floats:
    """Two clouds around (2, 2) and (-2, -2), of variance 0.5 + 7 n."""
    variance = 0.5 + 7 * noise
    return np.array(
        [
            (random.normal(2 * sign, variance), random.normal(2 * sign, variance), sign)
            for sign in (1.0, -1.0)
            for _ in range(count // 2)
        ]
    )


def spiral(count: int, noise: float, random: SeededRandom) -> Floats:
    """Two arms: r = 5 s at the angle 3.5 pi s, the second half a turn on; U(-1, 1) n added to both numbers."""
    rows = []
    share = np.arange(count // 2) / (count // 2)
    for turn, label in ((0.0, 1.0), (np.pi, -1.0)):
        draws = random.numbers(count // 2, 2) * 2 - 1
        angle = 3.5 * np.pi * share + turn
        arm = 5 * share[:, None] * np.column_stack((np.sin(angle), np.cos(angle)))
        rows.append(np.column_stack((arm + draws * noise, np.full(count // 2, label))))
    return np.concatenate(rows)


def plane(count: int, noise: float, random: SeededRandom) -> Floats:
    """(x1 + x2) / 10, of the place after U(-6, 6) n was added."""
    draws = random.numbers(count, 4) * 12 - 6
    places = draws[:, :2]
    return np.column_stack((places, (places + draws[:, 2:] * noise).sum(1) / 10))


def multi_gauss(count: int, noise: float, random: SeededRandom) -> Floats:
    """The largest of six hills max(0, 1 - d / 2) with its sign, at the place after U(-6, 6) n was added."""
    draws = random.numbers(count, 4) * 12 - 6
    places = draws[:, :2]
    moved = places + draws[:, 2:] * noise
    distance = np.hypot(*(moved[:, None, :] - CENTRES[None, :, :2]).transpose(2, 0, 1))  # (N, 6)
    hills = CENTRES[:, 2] * np.clip(1 - distance / 2, 0, 1)
    return np.column_stack((places, hills[np.arange(count), np.abs(hills).argmax(1)]))


CLASSIFICATION: dict[str, Generator] = {"circle": circle, "xor": xor, "gauss": gauss, "spiral": spiral}
REGRESSION: dict[str, Generator] = {"reg-plane": plane, "reg-gauss": multi_gauss}


def split(rows: Floats, train_percent: int, random: SeededRandom) -> Data:
    """Rows shuffled, and cut after ``train_percent`` of them."""
    shuffled = rows[random.order(len(rows))]
    return Data(shuffled[:, :2], shuffled[:, 2], len(rows) * train_percent // 100)
