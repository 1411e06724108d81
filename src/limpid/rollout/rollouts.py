"""Rollouts as a source of batches: questions -> sampled answers -> rewards -> rows to learn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator, integer
from limpid.data.answer_batch import AnswerBatch, grown, joined, rows_of
from limpid.data.questions import Question, Stream
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.parallel.environment import World
from limpid.rollout.drawing import Drawn, draw
from limpid.rollout.rewards.panel import Answered, Judged, Panel
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.algorithms import Normalise
from limpid.training.objectives.kl import AdaptiveKl

LOGGED = 4
"""Answers of each rollout that are written to the log whole."""


class RolloutPlan(NamedTuple):
    """prompts a rollout, samples a prompt, how they are drawn, and how often each is learnt from.

    minibatches: equal parts of a rollout, an update each; epochs: passes over it, each in another order.
    normalise, draws: see `algorithms.Settings`.
    """

    prompts: int
    samples: int
    temperature: float
    max_tokens: int
    seed: int
    epochs: int = 1
    minibatches: int = 1
    normalise: Normalise = "tokens"
    draws: int = 1

    @property
    def updates(self) -> int:
        """Updates a rollout."""
        return self.epochs * self.minibatches


class Answer(NamedTuple):
    """One answer of a rollout. place: of its prompt in the rollout."""

    place: int
    question: Question
    prompt: list[int]
    drawn: Drawn
    judged: Judged
    text: str


class Credit(Protocol):
    """From rewarded answers to what each token is to learn (see `credit`)."""

    def __call__(self, answers: Sequence[Answer], batch: AnswerBatch) -> tuple[AnswerBatch, dict[str, float]]:
        """The rows worth learning from, with their advantages (and more), and what was measured on the way.

        batch: all answers that have a reward, a row each; in the same order.
        """


class Rollouts:
    """The batch of update ``step``: a part of rollout ``step // plan.updates``, whose answers were drawn by the weights
    there were at its beginning. Which answers, and which part, is a function of (seed, step) and those weights.

    The token ids are those that were drawn; no text is tokenised again. An answer without a reward (its judge failed)
    is left out. Each process draws and judges its share of the prompts, then all know all answers.

    mix: of an update, more rows of given text (see `given`).
    measured, samples: of the last rollout, numbers by name, and some answers for the log.

    A rollout that is not used up yet is part of the state of a run: `tensors` and `load_tensors`.
    """

    def __init__(
        self,
        questions: Stream,
        engine: Callable[[], Engine],
        tokenizer: Tokenizer,
        panel: Panel,
        credit: Credit,
        plan: RolloutPlan,
        kl: AdaptiveKl,
        world: World,
        *,
        mix: Callable[[int], Sequence[AnswerBatch]] = lambda step: (),
    ) -> None:
        self.questions, self.engine, self.tokenizer = questions, engine, tokenizer
        self.panel, self.credit, self.plan, self.kl, self.world = panel, credit, plan, kl, world
        self.mix = mix
        self.measured: dict[str, float] = {}
        self.samples: list[dict[str, Any]] = []
        self._number = -1
        self._rollout: AnswerBatch | None = None

    def __getitem__(self, step: int) -> AnswerBatch:
        number, update = divmod(step, self.plan.updates)
        if number != self._number or self._rollout is None:
            self._rollout, self._number = self._new(number), number
        epoch, part = divmod(update, self.plan.minibatches)
        order = generator(self.plan.seed, "minibatches", number, epoch).permutation(len(self._rollout.inputs))
        mine = order[part :: self.plan.minibatches]
        chosen = self._rollout.pick(torch.from_numpy(mine if len(mine) else order))  # fewer answers than parts: all
        batch = normalised(chosen, self.plan.normalise, self.plan.max_tokens)
        for given in self.mix(step):
            batch = beside(batch, given)
        shares = [batch.pick(torch.tensor(rows, dtype=torch.int64)) for rows in dealt(batch, self.world.size)]
        rows = max(len(share.inputs) for share in shares)
        return joined([grown(share, rows, share.inputs.shape[1]) for share in shares]).trimmed()

    def answers(self, number: int, prompts: range | None = None) -> list[Answer]:
        """Draw and judge the answers to these of the prompts of rollout ``number``, by all processes. Unset: to the
        first ``plan.prompts``."""
        plan, rank, size = self.plan, self.world.rank, self.world.size
        prompts = range(plan.prompts) if prompts is None else prompts
        places = prompts[len(prompts) * rank // size : len(prompts) * (rank + 1) // size]
        questions = [self.questions[number * plan.prompts * plan.draws + place] for place in places]
        asked = [prompt(self.tokenizer, q.messages) for q in questions]
        sampling = Sampling(
            temperature=plan.temperature, max_tokens=plan.max_tokens, seed=integer(plan.seed, "rollout", number) >> 32
        )
        stops = self.tokenizer.chat_stops
        drawn = draw(self.engine(), asked, sampling, stop_ids=stops, samples=plan.samples, first=places.start)
        found = self._judged(places, questions, asked, drawn)
        return [answer for share in self.world.gather(found) for answer in share]

    def tensors(self) -> dict[str, Tensor]:
        """What a resume needs besides the weights."""
        coefficients = torch.tensor([self.kl.coefficient, self.kl.following], dtype=torch.float64)
        state = {"kl_coefficients": coefficients}
        if self._rollout is not None:
            state |= {"rollout": torch.tensor(self._number)} | self._rollout._asdict()
        return state

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave. Raises LimpidError where that was another version's."""
        if "kl_coefficients" not in state:
            raise LimpidError(
                "this run was saved by an earlier limpid, which kept its rollouts in another form: finish it with that "
                "one, or begin it anew with another --out."
            )
        self.kl.coefficient, self.kl.following = state["kl_coefficients"].tolist()
        if "rollout" in state:
            self._number = int(state["rollout"])
            self._rollout = AnswerBatch(*(state[name] for name in AnswerBatch._fields))

    def _new(self, number: int) -> AnswerBatch:
        self.kl.advance()
        answers, kept = self._drawn(number)
        rewarded = [a for a in kept if not math.isnan(a.judged.reward)]
        if not rewarded:
            raise LimpidError(
                f"rollout {number}: no answer has a reward, so there is nothing to learn from. Raise max_tokens if "
                "they are all cut off, or mend the rewards."
            )
        batch = rows_of(
            [a.prompt for a in rewarded],
            [a.drawn.ids for a in rewarded],
            drawn=True,
            per_token={"logprobs": [a.drawn.logprobs for a in rewarded]},
        )
        rows, credited = self.credit(rewarded, batch)
        self.measured = self._measures(answers) | credited
        self.samples = [_logged(a) for a in answers[:: max(1, len(answers) // LOGGED)][:LOGGED]]
        return rows

    def _drawn(self, number: int) -> tuple[list[Answer], list[Answer]]:
        """All answers of a rollout, and those to learn from: of the first ``prompts`` prompts; then, while fewer than
        that many prompts have answers that differ in reward, of more of those, up to ``draws`` times as many asked."""
        wanted = self.plan.prompts
        answers = self.answers(number)
        kept, differing = answers, len(_differing(answers))
        for draw_number in range(1, self.plan.draws):
            if differing >= wanted:
                break
            more = self.answers(number, range(wanted * draw_number, wanted * (draw_number + 1)))
            chosen = set(_differing(more)[: wanted - differing])
            answers, kept = answers + more, kept + [a for a in more if a.place in chosen]
            differing += len(chosen)
        return answers, kept

    def _judged(
        self, places: Sequence[int], questions: Sequence[Question], asked: list[list[int]], drawn: list[Drawn]
    ) -> list[Answer]:
        samples = self.plan.samples
        texts = [self.tokenizer.decode(d.ids[:-1] if d.finished else d.ids) for d in drawn]
        of = [row // samples for row in range(len(drawn))]
        verdicts = self.panel(
            [
                Answered(questions[at].messages, questions[at].row, text, one.finished)
                for at, text, one in zip(of, texts, drawn, strict=True)
            ]
        )
        return [
            Answer(places[at], questions[at], asked[at], one, verdict, text)
            for at, text, one, verdict in zip(of, texts, drawn, verdicts, strict=True)
        ]

    def _measures(self, answers: Sequence[Answer]) -> dict[str, float]:
        rewarded = [a for a in answers if not math.isnan(a.judged.reward)]
        rewards = torch.tensor([a.judged.reward for a in rewarded])
        lengths = torch.tensor([float(len(a.drawn.ids)) for a in answers])
        measures = {
            "kl_coefficient": self.kl.coefficient,
            "reward": float(rewards.mean()),
            "reward_deviation": float(rewards.std(correction=0)),
            "length": float(lengths.mean()),
            "unfinished": sum(not a.drawn.finished for a in answers) / len(answers),
            "without_reward": 1 - len(rewarded) / len(answers),
        }
        if self.plan.draws > 1:
            measures["asked"] = len({a.place for a in answers})
        for name in self.panel.names if len(self.panel.names) > 1 else ():
            parts = [a.judged.parts[name] for a in answers if name in a.judged.parts]
            parts = [value for value in parts if not math.isnan(value)]
            if parts:
                measures[f"reward/{name}"] = sum(parts) / len(parts)
        return measures


def _differing(answers: Sequence[Answer]) -> list[int]:
    """The places of the prompts whose answers did not all earn the same."""
    rewards: dict[int, set[float]] = {}
    for answer in answers:
        if not math.isnan(answer.judged.reward):
            rewards.setdefault(answer.place, set()).add(answer.judged.reward)
    return [place for place, earned in rewards.items() if len(earned) > 1]


def dealt(batch: AnswerBatch, processes: int) -> list[list[int]]:
    """The rows of each process: those with one prompt together, since they share its cost, and like work for all."""
    lengths = batch.lengths.tolist()
    shares: list[list[int]] = [[] for _ in range(processes)]
    load = [0] * processes
    for rows in sorted(batch.groups(), key=lambda rows: -sum(lengths[row] for row in rows)):
        least = load.index(min(load))
        shares[least] += rows
        load[least] += sum(lengths[row] for row in rows)
    return shares


def normalised(batch: AnswerBatch, normalise: Normalise, max_tokens: int) -> AnswerBatch:
    """The batch with weights whose mean over rows is the mean the algorithm takes; see `algorithms.Settings`."""
    spoken = (batch.weights > 0).float()
    if normalise == "tokens":  # a mean over rows of this is one over tokens
        weights = spoken * (len(spoken) / spoken.sum().clamp(min=1))
    elif normalise == "answers":
        weights = spoken / spoken.sum(1, keepdim=True).clamp(min=1)
    else:
        weights = spoken / max_tokens
    return batch._replace(weights=weights)


def beside(batch: AnswerBatch, given: AnswerBatch) -> AnswerBatch:
    """Answers and given text in one batch whose loss is the sum of the losses that each has alone."""
    total, answers = len(batch.inputs) + len(given.inputs), len(batch.inputs)
    return joined(
        [
            batch._replace(weights=batch.weights * (total / answers)),
            given._replace(weights=given.weights * (total / len(given.inputs))),
        ]
    )


def _logged(answer: Answer) -> dict[str, Any]:
    return {
        "prompt": answer.question.messages[-1]["content"],
        "answer": answer.text,
        "tokens": len(answer.drawn.ids),
        "finished": answer.drawn.finished,
        "reward": answer.judged.reward,
        "parts": answer.judged.parts,
    }
