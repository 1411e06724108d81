"""The sections of recipes that shape reinforcement learning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limpid.core.recipe import Section
from limpid.rollout.rewards.panel import RewardSection
from limpid.training.objectives.advantages import Baseline
from limpid.training.objectives.algorithms import ALGORITHMS, Algorithm, Normalise, Settings
from limpid.training.objectives.kl import KlEstimator

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]
NotBelow = Annotated[float, Field(ge=0)]


class RlSection(Section):
    """What GRPO, its kin and PPO share.

    path: questions: ``python-docs``, ``addition``, or rows of a file, folder or glob. held_out: rows to evaluate on;
    unset: a part of path. rewards: functions that are added up, a table each (below). unfinished: the reward of an
    answer that was cut off at max_tokens; ``judged``: as if it had ended; ``left_out``: nothing is learnt from it.

    steps: rollouts. prompts: how many in a rollout. samples: answers drawn to each prompt. temperature: answers are
    drawn at it, and their probabilities are those at it. max_tokens: of an answer. epochs: passes over a rollout.
    minibatches: its parts, an update each. lr: of AdamW, for all weights: Muon would give the noise of few rewards
    full-sized steps in every direction. warmup_steps: rollouts in which it rises linearly. decay: share of all steps,
    the last ones, in which it falls linearly to 0.

    kl_target: nats an answer that an adaptive coefficient holds (Ziegler et al. 2019); unset: the coefficient is fixed.
    max_kl: nats a token from the model that it began as; past it the run ends with an error. length_bounds: the fewest
    and the most tokens of the mean answer; past them likewise; unset: any length. entropy: coefficient of the entropy,
    which is raised.

    demonstrations: right answers of the fine-tuning stream shown in each update, so that what is known is not lost.
    imitation: coefficient of the demonstrations' loss, the mean ``-log p``. text_rows: windows of pretraining text
    shown likewise. text_coefficient: of the loss of that text (Ouyang et al. 2022, equation 2).
    """

    path: str = "python-docs"
    held_out: str | None = None
    rewards: tuple[RewardSection, ...] = (RewardSection(function="python-docs"),)
    unfinished: float | Literal["judged", "left_out"] = -1.0
    steps: Count = 60
    prompts: Count = 16
    samples: Count = 8
    temperature: Annotated[float, Field(ge=0.05)] = 1.0
    max_tokens: Count = 48
    epochs: Count = 1
    minibatches: Count = 1
    lr: Above = 2e-4
    warmup_steps: Whole = 5
    decay: Annotated[float, Field(ge=0, le=1)] = 0.5
    kl_target: Above | None = None
    max_kl: Above = 0.5
    length_bounds: tuple[float, float] | None = None
    entropy: NotBelow = 0.0
    demonstrations: Whole = 32
    imitation: NotBelow = 0.1
    text_rows: Whole = 0
    text_coefficient: NotBelow = 0.1

    def check_target(self, kl: float) -> None:
        """Refuse a target for a coefficient that is 0, whatever it is multiplied by."""
        if self.kl_target is not None and not kl:
            raise ValueError("kl_target steers the coefficient kl, which is 0: set kl to what it is to begin with")


class GrpoSection(RlSection):
    """algorithm: a row of `algorithms.ALGORITHMS`; the keys after it, where they are set, are single cells of it.

    baseline: what a reward is compared with: the mean of the prompt's answers (``group``), of its other answers
    (``leave_one_out``), of all other answers of the step (``batch``), or 0 (``none``). divide_std: the difference is
    divided by the rewards' standard deviation. normalise: the loss is the mean over all ``tokens``; over ``answers``,
    each the mean over its tokens; or over answers of the sum over tokens divided by a ``constant``, max_tokens.
    clip_low, clip_high: a token's ratio of new to old probability is held in [1 - clip_low, 1 + clip_high]; 0 for both:
    never. kl: coefficient of the divergence from the model that it began as. kl_estimator: ``k1`` or ``k3`` of the
    drawn tokens (Schulman 2020), or ``exact``, over the vocabulary. kl_in: the divergence is a term of the ``loss``, or
    taken off the ``reward``. skip_equal: prompts whose answers all earned the same are left out. draws: up to so many
    times as many prompts are asked, until enough of them have answers that differ.
    """

    algorithm: Algorithm = "limpid"
    baseline: Baseline | None = None
    divide_std: bool | None = None
    normalise: Normalise | None = None
    clip_low: NotBelow | None = None
    clip_high: NotBelow | None = None
    kl: NotBelow | None = None
    kl_estimator: KlEstimator | None = None
    kl_in: Literal["loss", "reward"] | None = None
    skip_equal: bool | None = None
    draws: Count | None = None

    @property
    def settings(self) -> Settings:
        """The algorithm, with what is set otherwise."""
        given = {name: value for name in Settings._fields if (value := getattr(self, name)) is not None}
        return ALGORITHMS[self.algorithm]._replace(**given)

    @model_validator(mode="after")
    def _sound(self) -> GrpoSection:
        settings = self.settings
        self.check_target(settings.kl)
        if settings.kl_in == "loss" and settings.kl_estimator == "k1":
            raise ValueError(
                "kl_estimator = k1 is no term of a loss (its gradient is 0 on average): k3, exact, or kl_in"
            )
        if settings.kl_in == "reward" and settings.kl_estimator != "k1":
            raise ValueError('kl_in = "reward" takes kl_estimator = "k1"')
        alone = self.samples == 1 and settings.baseline in ("group", "leave_one_out")
        if alone or (self.samples * self.prompts == 1 and settings.baseline == "batch"):
            raise ValueError(
                f"samples = {self.samples}: an answer of its own group has nothing to be compared with; at least 2, or "
                'baseline = "batch"'
            )
        return self

    def resolved(self) -> GrpoSection:
        """With every cell of the algorithm written out."""
        return self.model_copy(update=self.settings._asdict())


class PpoSection(RlSection):
    """Proximal policy optimisation (Schulman et al. 2017) as in Ziegler et al. 2019 and Ouyang et al. 2022.

    kl: coefficient of k1, taken off the reward of every token. clip_low, clip_high: a token's ratio of new to old
    probability is held in [1 - clip_low, 1 + clip_high]. value: the value model has its ``own`` backbone, a copy of the
    policy's at the start, or reads the policy's states (``shared``). value_coefficient: of the value model's loss
    beside the policy's. value_lr: the value model's rate; unset: ``lr``. value_clip: a value may move so far in one
    rollout before it stops learning from a token; 0: any distance. discount: gamma of GAE (Schulman et al. 2016).
    smoothing: lambda of GAE. whiten: advantages get mean 0 and deviation 1 over a rollout.
    """

    prompts: Count = 128
    samples: Count = 1
    epochs: Count = 4
    minibatches: Count = 4
    kl: NotBelow = 0.05
    clip_low: NotBelow = 0.2
    clip_high: NotBelow = 0.2
    value: Literal["own", "shared"] = "own"
    value_coefficient: Above = 0.5
    value_lr: Above | None = None
    value_clip: NotBelow = 0.2
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0
    smoothing: Annotated[float, Field(ge=0, le=1)] = 0.95
    whiten: bool = True

    @model_validator(mode="after")
    def _sound(self) -> PpoSection:
        self.check_target(self.kl)
        return self
