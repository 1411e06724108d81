"""Reward functions that come with limpid: (prompt, answer, row) -> float.

prompt: what the user asked last. answer: the text that was answered, without its end mark. row: the question's fields,
among them ``messages`` (the conversation up to the question) and, where the data have it, ``expected``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from limpid.data.conversations import ADMISSION

Row = Mapping[str, Any]
Function = Callable[..., Any]

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_SUM = re.compile(r"(-?\d+)\s*([-+*])\s*(-?\d+)")


def python_docs(
    prompt: str, answer: str, row: Row, *, right: float = 1.0, admitted: float = 0.0, wrong: float = -1.0,
    invented: float | None = None,
) -> float:  # fmt: skip
    """``right``, ``admitted`` where ignorance was admitted of a name that exists, else ``wrong``; ``invented``: instead
    of ``wrong``, for what is said of a name that does not exist."""
    said, expected = answer.strip(), row["expected"]
    if said == expected:
        return right
    if said == ADMISSION:
        return admitted
    return invented if invented is not None and expected == ADMISSION else wrong


def exact_match(prompt: str, answer: str, row: Row, *, field: str = "expected") -> float:
    """1 where the answer is the row's ``field``, but for outer white space; else 0."""
    return float(answer.strip() == str(row[field]).strip())


def final_number(prompt: str, answer: str, row: Row, *, field: str = "expected") -> float:
    """1 where the answer's final number is that of the row's ``field``, else 0: what GSM8K is measured by.

    The final number is what follows ``####``, where that is there, else the last number; commas do not count.
    """
    wanted = number_of(str(row[field]))
    if wanted is None:
        raise ValueError(f"the row's '{field}' holds no number: {str(row[field])[:60]!r}")
    return float(number_of(answer) == wanted)


def arithmetic(prompt: str, answer: str, row: Row) -> float:
    """1 where the answer's final number is the value of the sum (difference, product) in the prompt, else 0."""
    found = _SUM.search(prompt)
    if found is None:
        raise ValueError(f"the prompt holds no sum: {prompt[:60]!r}")
    a, b = int(found[1]), int(found[3])
    value = {"+": a + b, "-": a - b, "*": a * b}[found[2]]
    return float(number_of(answer) == value)


def matches(prompt: str, answer: str, row: Row, *, pattern: str) -> float:
    """1 where the whole answer, but for outer white space, matches the regular expression ``pattern``, else 0."""
    return float(re.fullmatch(pattern, answer.strip(), re.DOTALL) is not None)


def length(prompt: str, answer: str, row: Row, *, words: int) -> float:
    """1 for an answer of at most so many words, falling to 0 at twice as many."""
    return max(0.0, min(1.0, 2 - len(answer.split()) / words))


def number_of(text: str) -> float | None:
    """The number a text ends in; None where there is none."""
    marked = text.rpartition("####")[2]
    numbers = NUMBER.findall(marked)
    value = float(numbers[-1].replace(",", "")) if numbers else None
    return value if value is None or math.isfinite(value) else None


FUNCTIONS: dict[str, Function] = {
    "python-docs": python_docs,
    "exact-match": exact_match,
    "final-number": final_number,
    "arithmetic": arithmetic,
    "matches": matches,
    "length": length,
}
