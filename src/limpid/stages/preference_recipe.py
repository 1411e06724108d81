"""The recipe's sections of the stages that learn from pairs of answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limpid.core.recipe import Section
from limpid.training.objectives.preference import Loss

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]


class PairsSection(Section):
    """path: pairs of answers: ``python-docs``, or files of any layout that `limpid.data.preferences` reads.

    pairs: how many to draw from python-docs. first_pair: the number of the first of them, so that a judge can learn
    from others than the reward model that it judges beside. test_pairs: how many held-out pairs of python-docs are
    measured. sampled: questions of python-docs (and of nothing else) that the model at hand answers itself; what it
    gets wrong becomes the worse answer of further pairs. samples: the model's answers to each question of ``sampled``.
    temperature: such answers are drawn at it. epochs: passes over the pairs. pairs_per_step: of the global batch.
    warmup: the share of all steps in which the rates rise; then they fall linearly to 0.
    """

    path: str = "python-docs"
    pairs: Whole = 6000
    first_pair: Whole = 0
    test_pairs: Count = 1500
    sampled: Whole = 0
    samples: Count = 4
    temperature: Annotated[float, Field(gt=0)] = 1.0
    epochs: Annotated[float, Field(gt=0)] = 1.0
    pairs_per_step: Count = 32
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1


class RewardSection(PairsSection):
    """likelihood: whether a reward also weighs, by one learnt number, how probable the model finds the answer: what a
    small model knows it need not learn again. centring: weight of the square of the sum of a pair's two rewards, which
    holds them around 0. lr_factor: of the rates of ``optim``. dropout: instead of the model's. baselines: whether
    length and words alone are measured on the same pairs.
    """

    lr_factor: Annotated[float, Field(gt=0)] = 0.25
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    likelihood: bool = False
    centring: Annotated[float, Field(ge=0)] = 0.01
    baselines: bool = True


class DpoSection(PairsSection):
    """loss: ``dpo``, ``ipo``, ``kto`` or ``orpo``, see `objectives.preference`. beta: of the first three the strength
    of the pull towards the reference; of ORPO the weight of its odds. smoothing: the share of pairs that DPO takes
    to be labelled the wrong way round. imitation: coefficient of the better answers' own loss, the mean ``-log p``.
    text_share: part of each batch's positions that is pretraining text, against forgetting. text_weight: coefficient of
    the loss of that text.
    lr: of AdamW, for all weights.
    """

    pairs: Whole = 0
    test_pairs: Count = 500
    sampled: Whole = 2000
    loss: Loss = "dpo"
    beta: Annotated[float, Field(gt=0)] = 0.1
    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    imitation: Annotated[float, Field(ge=0)] = 0.0
    text_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    text_weight: Annotated[float, Field(gt=0)] = 1.0
    lr: Annotated[float, Field(gt=0)] = 5e-5
