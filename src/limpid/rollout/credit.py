"""Whose merit a reward is: from rewarded answers to an advantage for every token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from limpid.data.answer_batch import AnswerBatch
from limpid.parallel.environment import World
from limpid.rollout.rollouts import Answer
from limpid.training.objectives.advantages import (
    advantages_of,
    explained_variance,
    generalised_advantages,
    whitened,
)
from limpid.training.objectives.algorithms import Settings
from limpid.training.objectives.kl import AdaptiveKl, k1, k3

Logprobs = Callable[[AnswerBatch], Tensor]
"""(B, T) log-probabilities of a batch's answer tokens under the reference, at the temperature of the draws."""
Values = Callable[[AnswerBatch], Tensor]
"""(B, T) float32: what the value model expects at each place, by the present weights."""


def shared(world: World, compute: Callable[[AnswerBatch], Tensor]) -> Callable[[AnswerBatch], Tensor]:
    """``compute`` (a row a row, whatever the others are), each process its share of the rows, all get everything."""

    def together(batch: AnswerBatch) -> Tensor:
        count = len(batch.inputs)
        mine = batch.rows(count * world.rank // world.size, count * (world.rank + 1) // world.size)
        return torch.cat(world.gather(compute(mine)))

    return together


class GroupCredit:
    """The same advantage at every token of an answer: its reward against that of others (GRPO, RLOO, REINFORCE ...).

    With the divergence in the reward, an answer's reward is less ``kl`` times the sum of k1 over its tokens (Ahmadian
    et al. 2024, equation 2). reference: asked only where its log-probabilities are needed.
    """

    def __init__(self, settings: Settings, kl: AdaptiveKl, reference: Logprobs | None) -> None:
        self.settings, self.kl, self.reference = settings, kl, reference

    def __call__(self, answers: Sequence[Answer], batch: AnswerBatch) -> tuple[AnswerBatch, dict[str, float]]:
        rewards = torch.tensor([a.judged.reward for a in answers])
        spoken = batch.weights > 0
        measured: dict[str, float] = {}
        places = _places(answers)
        if self.reference is not None and not self.kl.coefficient:  # only told: one answer of each prompt will do
            some = batch.pick((places[:, 1] == 0).nonzero().squeeze(1))
            some = some._replace(reference=self.reference(some))
            measured = _observed(some, some.weights > 0, self.kl)
        elif self.reference is not None:
            batch = batch._replace(reference=self.reference(batch))
            measured = _observed(batch, spoken, self.kl)
            if self.settings.kl_in == "reward":
                spent = (k1(batch.logprobs, batch.reference) * spoken).sum(1)
                rewards = rewards - self.kl.coefficient * spent
        table = _by_prompt(answers, rewards)
        advantages = advantages_of(table, self.settings.baseline, divide_std=self.settings.divide_std)
        differ = _spread(table) > 0
        measured["informative_groups"] = float(differ.float().mean())
        of_row = advantages[places[:, 0], places[:, 1]]
        batch = batch._replace(advantages=of_row[:, None] * spoken)
        if self.settings.skip_equal and bool(differ.any()):  # where none differs, the divergence is what is left
            kept = differ[places[:, 0]]
            if self.settings.kl_in == "loss" and self.kl.coefficient:
                kept |= places[:, 1] == 0  # what goes well should stay as it is
            batch = batch.pick(kept.nonzero().squeeze(1))
        return batch, measured


class TokenCredit:
    """An advantage of its own for every token, by a value model (PPO): GAE over rewards that are 0 but for the answer's
    own at its last token, less ``kl`` times k1 at each (Ziegler et al. 2019, equation 2; Ouyang et al. 2022).

    whiten: advantages get mean 0 and deviation 1 over the rollout.
    """

    def __init__(
        self, kl: AdaptiveKl, reference: Logprobs, values: Values, *, discount: float, smoothing: float, whiten: bool
    ) -> None:
        self.kl, self.reference, self.values = kl, reference, values
        self.discount, self.smoothing, self.whiten = discount, smoothing, whiten

    def __call__(self, answers: Sequence[Answer], batch: AnswerBatch) -> tuple[AnswerBatch, dict[str, float]]:
        spoken = batch.weights > 0
        batch = batch._replace(reference=self.reference(batch), values=self.values(batch) * spoken)
        measured = _observed(batch, spoken, self.kl)
        rewards = -self.kl.coefficient * k1(batch.logprobs, batch.reference) * spoken
        last = batch.lengths - 1
        rewards[torch.arange(len(last)), last] += torch.tensor([a.judged.reward for a in answers])
        advantages, returns = generalised_advantages(
            rewards, batch.values, spoken, discount=self.discount, smoothing=self.smoothing
        )
        measured["explained_variance"] = explained_variance(batch.values, returns, spoken)
        if self.whiten:
            advantages = whitened(advantages, spoken)
        return batch._replace(advantages=advantages, returns=returns), measured


def _observed(batch: AnswerBatch, spoken: Tensor, kl: AdaptiveKl) -> dict[str, float]:
    """What the rollout says of the divergence, by which the next one's coefficient is steered.

    "kl": nats a token, by k3; "kl_an_answer": the sum over an answer, by k1 (Ziegler et al. 2019, section 2.2).
    """
    a_token = float(k3(batch.logprobs, batch.reference)[spoken].mean())
    an_answer = float((k1(batch.logprobs, batch.reference) * spoken).sum(1).mean())
    kl.observe(an_answer)
    return {"kl": a_token, "kl_an_answer": an_answer}


def _places(answers: Sequence[Answer]) -> Tensor:
    """(N, 2): of each answer, the row of its prompt in the table and its column."""
    rows: dict[int, int] = {}
    seen: dict[int, int] = {}
    places = []
    for answer in answers:
        row = rows.setdefault(answer.place, len(rows))
        column = seen.get(row, 0)
        seen[row] = column + 1
        places.append((row, column))
    return torch.tensor(places)


def _by_prompt(answers: Sequence[Answer], rewards: Tensor) -> Tensor:
    """(P, G) rewards, a row a prompt; NaN where a prompt has fewer answers than another."""
    places = _places(answers)
    table = torch.full((int(places[:, 0].max()) + 1, int(places[:, 1].max()) + 1), torch.nan)
    table[places[:, 0], places[:, 1]] = rewards
    return table


def _spread(table: Tensor) -> Tensor:
    """(P,) largest less smallest reward of each prompt."""
    return table.nan_to_num(-torch.inf).amax(1) - table.nan_to_num(torch.inf).amin(1)
