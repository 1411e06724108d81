"""Held-out questions of RL: greedy answers, judged by the rewards that the policy is trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from limpid.data.questions import Question
from limpid.evaluation.bootstrap import Interval, mean_interval
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.rollout.drawing import Drawn, draw
from limpid.rollout.rewards.panel import Answered, Panel
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer


def greedy(engine: Engine, tokenizer: Tokenizer, questions: Sequence[Question], max_tokens: int) -> list[Drawn]:
    """The most probable answers, one a question."""
    asked = [prompt(tokenizer, q.messages) for q in questions]
    sampling = Sampling(temperature=0, max_tokens=max_tokens)
    return draw(engine, asked, sampling, stop_ids=tokenizer.chat_stops, samples=1)


def measured(
    engine: Engine, tokenizer: Tokenizer, panel: Panel, questions: Sequence[Question], max_tokens: int
) -> dict[str, Interval]:
    """Means with 95% intervals of "held-out reward" (each of its parts too, where there are several), "held-out exact",
    the share of answers that are the expected one, and "held-out tokens". Answers without a reward do not count."""
    answers = greedy(engine, tokenizer, questions, max_tokens)
    texts = [said(tokenizer, answer) for answer in answers]
    judged = panel(
        [Answered(q.messages, q.row, t, a.finished) for q, t, a in zip(questions, texts, answers, strict=True)]
    )
    columns: dict[str, list[float]] = {"held-out reward": [j.reward for j in judged]}
    for name in panel.names if len(panel.names) > 1 else ():
        columns[f"held-out {name}"] = [j.parts[name] for j in judged if name in j.parts]
    if all(q.expected is not None for q in questions):
        columns["held-out exact"] = [float(t.strip() == q.expected) for q, t in zip(questions, texts, strict=True)]
    columns["held-out tokens"] = [float(len(a.ids)) for a in answers]
    kept = {name: [v for v in values if not math.isnan(v)] for name, values in columns.items()}
    return {name: mean_interval(values) for name, values in kept.items() if values}


def answered(
    engine: Engine, tokenizer: Tokenizer, questions: Sequence[Question], max_tokens: int
) -> list[dict[str, Any]]:
    """What the model says to some questions, for the report."""
    answers = [said(tokenizer, a) for a in greedy(engine, tokenizer, questions, max_tokens)]
    return [
        {
            "prompt": q.messages[-1]["content"],
            "answer": text,
            "expected": q.expected or "",
            "grade": "right" if text.strip() == q.expected else "wrong",
        }
        for q, text in zip(questions, answers, strict=True)
    ]


def said(tokenizer: Tokenizer, answer: Drawn) -> str:
    """The text of an answer, without the mark that ended it."""
    return tokenizer.decode(answer.ids[:-1] if answer.finished else answer.ids)
