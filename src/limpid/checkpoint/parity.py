"""Whether an exported model still is the model: what another reader of the files computes, against our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from limpid.models.decoder import Decoder
from limpid.models.model import Model
from limpid.models.registry import build
from limpid.text.tokenizer import Tokenizer

TEXTS = (
    "The cat sat on the mat.",
    "It's 2024: 3,141.59 + 42 = ?  don't  O'Neill's",
    "床前明月光，疑是地上霜。\n\n举头望明月，低头思故乡。",
    "机器学习 machine learning 機械学習 기계학습",
    "Smile 🙂 and wave 👋🏽, the family 👨‍👩‍👧 waves back.",
    "  two spaces,\ttab\t\ttabs, three newlines:\n\n\nand\r\nWindows.  ",
    "def f(x):\n    return {'a': x[0], \"b\": -1}  # ok\n",
    "naïve café Ünïcode ﬁne ½ ² № ٣ हिन्दी ไทย עברית",
    " ",
    "\n",
    "a",
    "<|endoftext|><|user|>typed<|end|></s>",
)
"""What is tokenized by both sides: English, Chinese, emoji, white space, code, other scripts, typed control tokens."""

LENGTH = 64
"""Tokens that logits are compared on."""

Logits = npt.NDArray[np.float32]


class Parity(NamedTuple):
    """reader: who read the files. difference: the largest absolute one of two logits. allowed: what still passes.

    texts: how many were tokenized by both; differing: those with other ids. None: the reader did not do that part.
    """

    reader: str
    difference: float | None = None
    allowed: float = 1e-4
    texts: int | None = None
    differing: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return (self.difference is None or self.difference <= self.allowed) and not self.differing

    def __str__(self) -> str:
        parts = []
        if self.difference is not None:
            parts.append(f"logits differ by at most {self.difference:.1e} (allowed {self.allowed:.0e})")
        if self.texts is not None:
            same = self.texts - len(self.differing)
            parts.append(f"{same} of {self.texts} texts have the same ids")
            parts += [f"other ids for {text!r}" for text in self.differing[:2]]
        return f"{'passed' if self.passed else 'FAILED'}, read by {self.reader}: {'; '.join(parts)}"


def probe(vocab_size: int, context: int, seed: int = 0) -> list[int]:
    """Token ids to compare logits on: any will do, and random ones visit the whole vocabulary."""
    return np.random.default_rng(seed).integers(vocab_size, size=min(LENGTH, context)).tolist()


@torch.no_grad()
def rounded(model: Model, convert: Callable[[str, torch.Tensor], torch.Tensor]) -> Any:
    """A copy of ``model`` whose parameters went through ``convert(name, tensor)``: what a coarser file holds."""
    copy = build(model.config)
    for (name, target), source in zip(copy.named_parameters(), model.parameters(), strict=True):
        target.copy_(convert(name, source).to(target.dtype))
    return copy.eval()


@torch.no_grad()
def logits(model: Any, ids: Sequence[int]) -> Logits:
    """(T, V) float32, computed in float32; an encoder-decoder reads ``ids`` and is given them backwards to continue."""
    tokens = torch.tensor([list(ids)])
    if isinstance(model, Decoder):
        hidden = model(tokens)
    else:
        hidden = model(tokens, torch.tensor([len(ids)]), tokens.flip(1))
    found: Logits = model.head(hidden)[0].numpy()
    return found


def compare(
    reader: str,
    tokenizer: Tokenizer,
    encode: Callable[[str], Sequence[int]],
    expected: Logits | None = None,
    found: Any = None,
    *,
    texts: Sequence[str] = TEXTS,
    allowed: float = 1e-4,
) -> Parity:
    """The parity of a reader that tokenizes by ``encode`` and, where given, computed the logits ``found``."""
    differing = tuple(text for text in texts if list(encode(text)) != tokenizer.encode(text))
    difference = None if expected is None else float(np.abs(np.asarray(found, np.float32) - expected).max())
    return Parity(reader, difference, allowed, len(texts), differing)
