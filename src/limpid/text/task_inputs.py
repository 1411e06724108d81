"""Tasks as token sequences a language model can read (Radford et al. 2018, section 3.3 and figure 1).

Every sequence begins with a start token and ends with an extract token, in whose state the answer is looked for; a
delimiter stands between two texts. The three are control tokens behind the pretrained vocabulary: their embeddings are
learnt with the task, and no other token's id changes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from limpid.core.errors import LimpidError
from limpid.text.tokenizer import Tokenizer

START, DELIMITER, EXTRACT = TASK_TOKENS = ("<|start|>", "<|delimiter|>", "<|extract|>")

Form = Literal["single", "pair", "similarity", "choice"]
"""single: one text. pair: two, the first before the second. similarity: two, in both orders. choice: a context with
each of several continuations."""


class TaskTokens(NamedTuple):
    """The ids of the three control tokens."""

    start: int
    delimiter: int
    extract: int


def with_task_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with start, delimiter and extract behind its vocabulary, where it lacks them."""
    return tokenizer.with_control_tokens(TASK_TOKENS)


def task_tokens(tokenizer: Tokenizer) -> TaskTokens:
    """Raises LimpidError if the tokenizer has no task tokens."""
    ids = [tokenizer.control_id(token) for token in TASK_TOKENS]
    found = [i for i in ids if i is not None]
    if len(found) < len(TASK_TOKENS):
        raise LimpidError("this tokenizer has no start, delimiter and extract tokens: it belongs to no classifier.")
    return TaskTokens(*found)


class Rendered(NamedTuple):
    """The sequences of one example, and whether a text had to be cut to fit."""

    sequences: list[list[int]]
    cut: bool


def render(form: Form, texts: list[list[int]], tokens: TaskTokens, context: int) -> Rendered:
    """An example's encoded texts as sequences of at most ``context`` tokens.

    texts: one of them (single), two (pair, similarity), or the context and then the choices (choice). Where a sequence
    is too long the end of its longer text is cut, token by token; start, delimiter and extract always stay.
    """
    if form == "single":
        orders = [[texts[0]]]
    elif form == "pair":
        orders = [texts]
    elif form == "similarity":
        orders = [texts, texts[::-1]]
    else:
        orders = [[texts[0], choice] for choice in texts[1:]]
    sequences, cut = [], False
    for parts in orders:
        room = context - 1 - len(parts)  # start, delimiters between, extract
        kept = _fit(parts, room)
        cut = cut or any(len(a) < len(b) for a, b in zip(kept, parts, strict=True))
        sequence = [tokens.start, *kept[0]]
        for part in kept[1:]:
            sequence += [tokens.delimiter, *part]
        sequences.append([*sequence, tokens.extract])
    return Rendered(sequences, cut)


def _fit(parts: list[list[int]], room: int) -> list[list[int]]:
    lengths = [len(part) for part in parts]
    while sum(lengths) > room:
        longest = lengths.index(max(lengths))
        others = [n for i, n in enumerate(lengths) if i != longest]
        target = max(max(others, default=0), room - sum(others))
        lengths[longest] = target if target < lengths[longest] else lengths[longest] - 1
    return [part[:n] for part, n in zip(parts, lengths, strict=True)]
