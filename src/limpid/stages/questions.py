"""The questions that the demo's stages are measured by, and the five that every stage answers for the report."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from limpid.data.conversations import EVALUATIONS, Conversation, Dialogues, grade
from limpid.evaluation.dialogue import grade_all, shares
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.parallel.hardware import release_memory
from limpid.text.tokenizer import Tokenizer

QUICK = 48
KINDS = ("description", "module", "signature", "arithmetic", "unknown")


@cache
def dialogues(seed: int) -> Dialogues:
    """The one stream of conversations of a seed."""
    return Dialogues(seed)


def quick_measures(engine: Callable[[], Engine], tokenizer: Tokenizer, seed: int) -> dict[str, float]:
    """Shares of right answers by kind over a few held-out questions, and the share of wrong ones in all."""
    asked = {kind: dialogues(seed).evaluation(kind, QUICK) for kind in KINDS}
    graded = grade_all(engine(), tokenizer, [c for group in asked.values() for c in group])
    values: dict[str, float] = {}
    at = 0
    for kind, group in asked.items():
        part = graded[at : at + len(group)]
        at += len(group)
        values[f"right/{kind}"] = sum(g.grade == "right" for g in part) / len(part)
    values["wrong"] = sum(g.grade == "wrong" for g in graded) / len(graded)
    return values


def full_measures(engine: Engine, tokenizer: Tokenizer, seed: int, questions: int) -> dict[str, Any]:
    """``questions`` of every kind, in phrasings never trained: {"module: right": {"value", "low", "high"}, ...}."""
    measures = {}
    for kind in EVALUATIONS:
        graded = grade_all(engine, tokenizer, dialogues(seed).evaluation(kind, questions))
        for name, interval in shares(graded).items():
            measures[f"{kind}: {name}"] = interval._asdict()
        release_memory()
    return measures


def five_questions(seed: int) -> list[Conversation]:
    """One of each kind that shows what a stage is for, the same for every stage."""
    stream = dialogues(seed)
    return [stream.evaluation(kind, 1)[0] for kind in ("description", "module", "signature", "arithmetic", "unknown")]


def five_answers(engine: Engine, tokenizer: Tokenizer, seed: int) -> list[dict[str, Any]]:
    """What the model says to the five."""
    return [
        {
            "prompt": graded.conversation.prompt[-1]["content"],
            "answer": graded.answer,
            "expected": graded.conversation.expected,
            "grade": graded.grade,
        }
        for graded in grade_all(engine, tokenizer, five_questions(seed))
    ]


def five_continuations(engine: Engine, tokenizer: Tokenizer, seed: int) -> list[dict[str, Any]]:
    """What a model that was only pretrained makes of the five: it has seen no conversation, so it continues them."""
    asked = five_questions(seed)
    prompts = [[tokenizer.end_of_text, *tokenizer.encode(c.prompt[-1]["content"] + "\n")] for c in asked]
    said: list[list[int]] = [[] for _ in asked]
    sampling = Sampling(temperature=0.7, max_tokens=32, seed=seed)
    for events in engine.generate(prompts, sampling, stop_ids={tokenizer.end_of_text}):
        for event in events:
            said[event.row].append(event.token_id)
    return [
        {
            "prompt": c.prompt[-1]["content"],
            "answer": tokenizer.decode(tokens).strip(),
            "expected": c.expected,
            "grade": grade(c, tokenizer.decode(tokens)),
        }
        for c, tokens in zip(asked, said, strict=True)
    ]
