"""Sums of two numbers below a hundred: the smallest task on which RL can be watched, from pretraining on.

A tenth of the sums, with ``b + a`` where ``a + b`` is, is kept for evaluation and stands in no training text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from limpid.core.seeding import generator
from limpid.data.conversations import Message, is_held_out_sum
from limpid.data.document import Document, Split

NUMBERS = range(100)
LINES = 100
"""Sums in a document of the pretraining text."""


def sums(*, held_out: bool) -> list[tuple[int, int]]:
    """The pairs (a, b) of one side of the split, in an order that mixes them: every prefix is a fair sample."""
    pairs = [(a, b) for a in NUMBERS for b in NUMBERS if is_held_out_sum(a, "+", b) == held_out]
    return [pairs[place] for place in generator(0, "addition", int(held_out)).permutation(len(pairs))]


def question(a: int, b: int) -> Message:
    """What the user asks."""
    return {"role": "user", "content": f"{a} + {b}"}


def conversation(a: int, b: int) -> list[Message]:
    """The question and its right answer."""
    return [question(a, b), {"role": "assistant", "content": str(a + b)}]


def conversations(count: int) -> list[list[Message]]:
    """So many conversations about sums that are not held out, each sum as often as another."""
    pairs = sums(held_out=False)
    return [conversation(*pairs[i % len(pairs)]) for i in range(count)]


def corpus() -> dict[Split, Iterable[Document]]:
    """Text to pretrain on: lines such as ``17 + 25 = 42``. Held-out sums are validation and test."""
    return {"train": _Documents(False), "validation": _Documents(True), "test": _Documents(True)}


class _Documents:
    def __init__(self, held_out: bool) -> None:
        self.held_out = held_out

    def __iter__(self) -> Iterator[Document]:
        pairs = sums(held_out=self.held_out)
        for start in range(0, len(pairs), LINES):
            lines = [f"{a} + {b} = {a + b}" for a, b in pairs[start : start + LINES]]
            yield Document("\n".join(lines) + "\n", f"addition, sum {start + 1}")
