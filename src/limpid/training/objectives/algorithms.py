"""The policy-gradient algorithms, as settings of one loss. What a paper changes is one cell of the table."""

from __future__ import annotations

from typing import Literal, NamedTuple

from limpid.training.objectives.advantages import Baseline
from limpid.training.objectives.kl import KlEstimator

Normalise = Literal["tokens", "answers", "constant"]
Algorithm = Literal["limpid", "grpo", "dr-grpo", "dapo", "rloo", "reinforce"]


class Settings(NamedTuple):
    """What distinguishes the algorithms without a value model.

    baseline, divide_std: see `advantages.advantages_of`. normalise: the loss is the mean over all ``tokens`` of the
    step; over ``answers``, each the mean over its own tokens (which favours short right answers and long wrong ones);
    or over answers of the sum over tokens divided by a ``constant``, the longest answer allowed, which alone has the
    direction of the gradient of E[R]. clip_low, clip_high: the ratio of new to old probability of a token is held in
    [1 - clip_low, 1 + clip_high] (Schulman et al. 2017, equation 7); 0 for both: never. kl: coefficient of the
    divergence. kl_estimator: see `kl`. kl_in: it is a term of the ``loss``, or taken off the ``reward``.
    skip_equal: prompts whose answers all earned the same teach nothing but the divergence, and are left out; where the
    divergence is a term of the loss, but for one answer each. draws: up to so many times as many prompts are asked in
    a rollout, until enough of them have answers that differ (with both: dynamic sampling, Yu et al. 2025, section 3.2).
    """

    baseline: Baseline
    divide_std: bool
    normalise: Normalise
    clip_low: float
    clip_high: float
    kl: float
    kl_estimator: KlEstimator
    kl_in: Literal["loss", "reward"]
    skip_equal: bool
    draws: int = 1


ALGORITHMS: dict[Algorithm, Settings] = {
    # Group mean, no deviation, every token alike, the exact divergence: what limpid's own demo uses.
    "limpid": Settings("group", False, "tokens", 0.2, 0.2, 0.05, "exact", "loss", True),
    # Shao et al. 2024 (DeepSeekMath), section 4.1.
    "grpo": Settings("group", True, "answers", 0.2, 0.2, 0.04, "k3", "loss", False),
    # Liu et al. 2025 (Understanding R1-Zero-like training), section 3.2.
    "dr-grpo": Settings("group", False, "constant", 0.2, 0.2, 0.0, "k3", "loss", False),
    # Yu et al. 2025 (DAPO), section 3: clip-higher, dynamic sampling, token-level loss, no divergence.
    "dapo": Settings("group", True, "tokens", 0.2, 0.28, 0.0, "k3", "loss", True, 10),
    # Ahmadian et al. 2024 (Back to basics), section 3: the answer as one action, the divergence in the reward.
    "rloo": Settings("leave_one_out", False, "constant", 0.0, 0.0, 0.05, "k1", "reward", False),
    # Williams 1992, with the mean of all other answers of the step as the baseline.
    "reinforce": Settings("batch", False, "constant", 0.0, 0.0, 0.05, "k1", "reward", False),
}
