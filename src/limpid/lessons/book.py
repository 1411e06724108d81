"""The lessons there are, in the order in which they tell the story."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.lessons.lesson import Lesson, Text, read_lesson


class Chapter(NamedTuple):
    """title, and the names of its lessons."""

    title: Text
    names: tuple[str, ...]


CHAPTERS = (
    Chapter(Text("Two files, one word at a time", "两个文件，一次一个词"), ("two-files", "next-token", "compressor")),
    Chapter(Text("Neurons", "神经元"), ("perceptron", "playground", "autograd")),
    Chapter(Text("From text to numbers", "从文字到数字"), ("tokens", "embeddings", "positions")),
    Chapter(Text("Inside the Transformer", "Transformer 的内部"),
            ("softmax", "layer-norm", "scaling", "attention", "heads", "masks", "feed-forward", "residual", "block",
             "transformer")),
    Chapter(Text("Training", "训练"), ("cross-entropy", "bandit")),
)  # fmt: skip
NAMES = tuple(name for chapter in CHAPTERS for name in chapter.names)


@lru_cache
def find(name: str) -> Lesson:
    """A lesson by its name.

    Raises:
        LimpidError: there is none of that name.
    """
    if name not in NAMES:
        raise LimpidError(f"There is no lesson '{name[:60]}'.{did_you_mean(name, NAMES)} `limpid lesson` lists them.")
    return read_lesson(name)
