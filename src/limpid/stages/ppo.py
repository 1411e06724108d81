"""Proximal policy optimisation: a value model learns what an answer may still earn, and each token is rewarded for what
it changed of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limpid.data.answer_batch import AnswerBatch
from limpid.data.folding import fold
from limpid.inference.weights import inference_copy, refresh
from limpid.models.actor_critic import ActorCritic
from limpid.models.registry import build
from limpid.models.task import TaskConfig, TaskModel
from limpid.nn.task_heads import ScalarHead
from limpid.parallel.environment import World
from limpid.parallel.shard import shard
from limpid.rollout.credit import TokenCredit, shared
from limpid.rollout.rollouts import RolloutPlan
from limpid.stages.events import Event
from limpid.stages.recipe import Recipe
from limpid.stages.rl import Begun, Method, rewarded_by, rl_job
from limpid.stages.training_run import Beside, train_stage
from limpid.training.objectives.policy_gradient import PolicyLoss


def ppo(
    recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False, reward_model: Path | None = None
) -> Iterator[Event]:
    """Improve the chat model at ``source`` by PPO, in ``out``: the third step of Ouyang et al. 2022.

    Checkpoints hold the policy as the model, which every other stage and the engine read, and the value model beside
    it. reward_model: a run of stage reward, instead of the recipe's rewards.
    """
    recipe = rewarded_by(recipe, "ppo", source, reward_model)
    section = recipe.ppo

    def method_of(begun: Begun) -> Method:
        value = _value_model(begun, section.value)
        credit = TokenCredit(
            begun.kl,
            begun.reference_logprobs,
            shared(world, _present_values(begun, value)),
            discount=section.discount,
            smoothing=section.smoothing,
            whiten=section.whiten,
        )
        loss = PolicyLoss(
            temperature=section.temperature,
            clip_low=section.clip_low,
            clip_high=section.clip_high,
            kl_in_loss=False,
            entropy=section.entropy,
            value=section.value_coefficient,
            value_clip=section.value_clip,
        )
        plan = RolloutPlan(
            section.prompts, section.samples, section.temperature, section.max_tokens, recipe.train.seed,
            section.epochs, section.minibatches,
        )  # fmt: skip
        beside = Beside("value", value, ActorCritic(begun.policy, value))
        return Method(credit, loss, plan, False, beside, section.value_lr or section.lr)

    yield from train_stage(
        "ppo",
        recipe,
        out,
        world,
        resume=resume,
        prepare=lambda folder: rl_job("ppo", recipe, section, section.kl, source, folder, world, method_of),
    )


def _value_model(begun: Begun, kind: str) -> TaskModel | ScalarHead:
    """One that expects 0 everywhere; with its own backbone, that of the policy as it was."""
    config = begun.reference.config
    value: Any
    if kind == "own":
        value = build(TaskConfig(backbone=config, task="value"))
        value.backbone.load_state_dict(begun.reference.state_dict())
        head: Any = value.head
    else:
        value = head = ScalarHead(config.d_model)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    value.to(begun.world.device)
    shard(value, begun.world, begun.dtype)
    return value


def _present_values(begun: Begun, value: TaskModel | ScalarHead) -> Callable[[AnswerBatch], Tensor]:
    """What the value model expects by its present weights, through frozen copies: rows -> (B, T), 0 but for answers."""
    copy: TaskModel | ScalarHead
    if isinstance(value, TaskModel):
        copy = inference_copy(value, begun.dtype)
    else:
        copy = ScalarHead(begun.policy.config.d_model).to(begun.world.device)
    frozen = ActorCritic(begun.answering.model, copy)

    @torch.no_grad()
    def values(batch: AnswerBatch) -> Tensor:
        refresh(copy, value)
        found = torch.zeros_like(batch.values)
        rows = begun.rows(batch)
        for start in range(0, len(batch.inputs), rows):
            folded = fold(batch.rows(start, start + rows).to(begun.world.device))
            ids, shared = folded.ids, folded.shared
            needed = isinstance(copy, ScalarHead)
            hidden = frozen.policy(ids, dtype=begun.dtype, shared=shared) if needed else torch.empty(0)
            seen = frozen.values(ids, shared, hidden, begun.dtype)[folded.trained]
            found[start : start + rows].view(-1)[folded.source.cpu()] = seen.cpu()
        return found

    return values
