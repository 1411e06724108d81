"""How often a model answers right: greedy answers to held-out questions, graded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from limpid.data.conversations import Conversation, grade
from limpid.evaluation.bootstrap import Interval, mean_interval
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer

GRADES = ("right", "admitted", "wrong")


class Graded(NamedTuple):
    """A question, what the model said, and how that is graded."""

    conversation: Conversation
    answer: str
    grade: str


def answer_all(
    engine: Engine,
    tokenizer: Tokenizer,
    conversations: Sequence[Conversation],
    *,
    max_tokens: int = 64,
) -> list[str]:
    """Greedy answers, in the order asked."""
    sampling = Sampling(temperature=0, max_tokens=max_tokens)
    stop_ids = tokenizer.chat_stops
    ids = [prompt(tokenizer, c.prompt) for c in conversations]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # alike lengths are read together with least waste
    said: list[list[int]] = [[] for _ in ids]
    for events in engine.generate([ids[i] for i in order], sampling, stop_ids=stop_ids):
        for event in events:
            if event.token_id not in stop_ids:
                said[order[event.row]].append(event.token_id)
    return [tokenizer.decode(tokens) for tokens in said]


def grade_all(engine: Engine, tokenizer: Tokenizer, conversations: Sequence[Conversation]) -> list[Graded]:
    """Ask all, grade all."""
    answers = answer_all(engine, tokenizer, conversations)
    return [Graded(c, a, grade(c, a)) for c, a in zip(conversations, answers, strict=True)]


def shares(graded: Sequence[Graded]) -> dict[str, Interval]:
    """Grade -> its share with a 95% interval."""
    return {name: mean_interval([g.grade == name for g in graded]) for name in GRADES}
