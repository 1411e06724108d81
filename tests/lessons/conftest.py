"""Every lesson is run once, and its numbers are read off what it printed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache

import pytest

from limpid.lessons.book import find
from limpid.lessons.running import Outcome, run

_NUMBER = re.compile(r"(?<![\w.-])[-−]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?(?!\w)")


@cache
def ran(name: str) -> tuple[list[Outcome], float]:
    began = time.perf_counter()
    return list(run(find(name))), time.perf_counter() - began


@pytest.fixture
def outcomes() -> Callable[[str], list[Outcome]]:
    """What the steps of a lesson printed and drew."""
    return lambda name: ran(name)[0]


@pytest.fixture
def numbers() -> Callable[[str, int], list[float]]:
    """(lesson, step from 1) -> every number that the step printed, in order."""
    return lambda name, step: numbers_in(ran(name)[0][step - 1].output)


def numbers_in(text: str) -> list[float]:
    """Every number of a text; digits within words and names are none."""
    return [float(one.replace(",", "").replace("−", "-")) for one in _NUMBER.findall(text)]
