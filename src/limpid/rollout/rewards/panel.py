"""Several weighted rewards of one answer, and what became of those that could not be had."""

from __future__ import annotations

import inspect
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.recipe import Section
from limpid.data.conversations import Message
from limpid.rollout.rewards.own import FUNCTIONS, Function, Row
from limpid.rollout.rewards.user import UserFunction

log = logging.getLogger("limpid")


class RewardSection(Section):
    """One of the rewards that are added up.

    function: one of limpid's (``python-docs``, ``exact-match``, ``final-number``, ``arithmetic``, ``matches``,
    ``length``), ``file.py:function``, or ``model``, a trained reward model. weight: what its value is multiplied by.
    options: keyword arguments of the function; of ``model``, path = the reward run (unset: the folder ``reward`` beside
    that of the model that is to learn).
    timeout_seconds: of one call of a user's function. workers: how many such calls run at once.
    """

    function: str
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    workers: Annotated[int, Field(ge=1)] = 1


class Answered(NamedTuple):
    """What is to be rewarded. question: what the user asked last. text: the answer's, without its end mark. finished:
    whether it ended by itself."""

    messages: Sequence[Message]
    row: Row
    text: str
    finished: bool

    @property
    def question(self) -> str:
        return self.messages[-1]["content"]


class Judged(NamedTuple):
    """reward: the weighted sum; NaN where one of its parts could not be had. parts: each reward by name, unweighted."""

    reward: float
    parts: dict[str, float]


Judge = Callable[[Sequence[Answered]], Sequence[float | str]]
"""Values of answers; a text says why there is none."""
Unfinished = float | Literal["judged", "left_out"]


class Panel:
    """Adds up the rewards of a recipe.

    An answer whose reward is no finite number, or has none (an exception, a time-out), has the reward NaN and is left
    out by what learns from it; it is counted by reward and reported with the first reason.

    unfinished: what an answer is worth that was cut off; ``judged``: as if it had ended; ``left_out``: NaN.
    failures: how many answers of the last call had no value, by reward.

    Raises:
        LimpidError: an unknown function or option, or a user's file that cannot be loaded; from a call, no answer at
            all has a reward.
    """

    def __init__(
        self,
        sections: Sequence[RewardSection],
        unfinished: Unfinished,
        scorer: Callable[[str], Scorer] | None = None,
    ) -> None:
        if not sections:
            raise LimpidError("no reward is given: name one in 'rewards'.")
        names = [section.function for section in sections]
        self.names = [n if names.count(n) == 1 else f"{n} {names[:i].count(n) + 1}" for i, n in enumerate(names)]
        self.weights = [section.weight for section in sections]
        self.unfinished = unfinished
        self.judges = [_judge(section, scorer) for section in sections]
        self.failures: Counter[str] = Counter()

    def __call__(self, answers: Sequence[Answered]) -> list[Judged]:
        self.failures = Counter()
        asked = [a for a in answers if a.finished or self.unfinished == "judged"]
        columns = [self._values(name, judge, asked) for name, judge in zip(self.names, self.judges, strict=True)]
        judged = iter(zip(*columns, strict=True) if asked else [])
        found = []
        for answer in answers:
            if answer.finished or self.unfinished == "judged":
                values = next(judged)
                total = sum(w * v for w, v in zip(self.weights, values, strict=True))
                found.append(Judged(total, dict(zip(self.names, values, strict=True))))
            else:
                found.append(Judged(math.nan if isinstance(self.unfinished, str) else self.unfinished, {}))
        return found

    def close(self) -> None:
        """End the processes of users' functions."""
        for judge in self.judges:
            if isinstance(judge, UserFunction):
                judge.close()

    def _values(self, name: str, judge: Judge, answers: Sequence[Answered]) -> list[float]:
        values, reasons = [], []
        for value in judge(answers) if answers else ():
            if isinstance(value, str):
                reasons.append(value)
            elif not math.isfinite(value):
                reasons.append(f"its value is {value}")
            else:
                values.append(value)
                continue
            values.append(math.nan)
        if reasons:
            self.failures[name] = len(reasons)
            told = f"the reward '{name}' failed on {len(reasons)} of {len(values)} answers ({reasons[0]})"
            if len(reasons) == len(values):
                raise LimpidError(f"{told}; mend it, there is nothing to learn from.")
            log.warning("limpid: %s; they are left out.", told)
        return values


class Scorer(Protocol):
    """A reward model: as `inference.reward_model.RewardScorer`."""

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]: ...


def _judge(section: RewardSection, scorer: Callable[[str], Scorer] | None) -> Judge:
    name = section.function
    if name == "model":
        if set(section.options) != {"path"} or scorer is None:
            raise LimpidError("the reward 'model' needs its run: options = {path = \"runs/NAME/reward\"}.")
        model = scorer(str(section.options["path"]))
        return lambda answers: _scored(model, answers)
    if ":" in name:
        return UserFunction(name, section.options, section.timeout_seconds, section.workers)
    if name not in FUNCTIONS:
        raise LimpidError(
            f"no reward is called '{name}'.{did_you_mean(name, [*FUNCTIONS, 'model', 'FILE.py:FUNCTION'])}"
        )
    function = FUNCTIONS[name]
    known = list(inspect.signature(function).parameters)[3:]
    for option in section.options:
        if option not in known:
            raise LimpidError(f"the reward '{name}' has no option '{option}'.{did_you_mean(option, known)}")
    required = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty][3:]
    if missing := [option for option in required if option not in section.options]:
        raise LimpidError(f"the reward '{name}' needs the option '{missing[0]}'.")
    return lambda answers: [_value(function, answer, section.options) for answer in answers]


def _scored(model: Scorer, answers: Sequence[Answered]) -> Sequence[float | str]:
    pairs = [(answer.messages, answer.text) for answer in answers]
    try:
        return model.score(pairs)
    except LimpidError as error:  # of one of them: too long for it, say
        if len(pairs) == 1:
            return [str(error)]
        return [value for answer in answers for value in _scored(model, [answer])]


def _value(function: Function, answer: Answered, options: dict[str, Any]) -> float | str:
    try:
        return float(function(answer.question, answer.text, answer.row, **options))
    except (ValueError, KeyError, TypeError) as error:  # the row lacks what the function needs
        return f"{type(error).__name__}: {error}"
