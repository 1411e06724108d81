"""Policy-gradient RL without a value model: from imitating answers to being rewarded for good ones (GRPO, RLOO ...)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limpid.parallel.environment import World
from limpid.rollout.credit import GroupCredit
from limpid.rollout.rollouts import RolloutPlan
from limpid.stages.events import Event
from limpid.stages.recipe import Recipe
from limpid.stages.rl import Begun, Method, rewarded_by, rl_job
from limpid.stages.training_run import train_stage
from limpid.training.objectives.policy_gradient import PolicyLoss


def grpo(
    recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False, reward_model: Path | None = None
) -> Iterator[Event]:
    """Improve the chat model at ``source`` by rewards of several answers to each question, in ``out``.

    The divergence from the model at ``source`` is a cost, is measured at every step, and ends the run with an error
    where it passes ``grpo.max_kl``. reward_model: a run of stage reward, instead of the recipe's rewards.
    """
    recipe = rewarded_by(recipe, "grpo", source, reward_model)
    section, seed = recipe.grpo, recipe.train.seed
    settings = section.settings

    def method_of(begun: Begun) -> Method:
        exact = settings.kl_estimator == "exact" and settings.kl > 0  # to be told alone, a few drawn tokens will do
        credit = GroupCredit(settings, begun.kl, None if exact else begun.reference_logprobs)
        loss = PolicyLoss(
            temperature=section.temperature,
            clip_low=settings.clip_low,
            clip_high=settings.clip_high,
            kl_in_loss=settings.kl_in == "loss",
            entropy=section.entropy,
        )
        plan = RolloutPlan(
            section.prompts, section.samples, section.temperature, section.max_tokens, seed, section.epochs,
            section.minibatches, settings.normalise, settings.draws,
        )  # fmt: skip
        return Method(credit, loss, plan, exact)

    yield from train_stage(
        "grpo",
        recipe,
        out,
        world,
        resume=resume,
        prepare=lambda folder: rl_job("grpo", recipe, section, settings.kl, source, folder, world, method_of),
    )
