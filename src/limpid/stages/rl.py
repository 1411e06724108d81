"""What the stages of reinforcement learning share: a policy, its engine, rollouts, a guard, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.data.answer_batch import AnswerBatch, rows_of
from limpid.data.batches import TextBatches
from limpid.data.questions import Question, Questions, read_questions
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.engine import Engine
from limpid.inference.reward_model import RewardScorer
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.registry import with_dropout
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype, trim_memory
from limpid.parallel.shard import settle
from limpid.rollout import given
from limpid.rollout.credit import shared
from limpid.rollout.guard import Guard
from limpid.rollout.parity import parity
from limpid.rollout.rewards.panel import Panel, RewardSection
from limpid.rollout.rollouts import Credit, RolloutPlan, Rollouts
from limpid.rollout.samples_log import SamplesLog
from limpid.stages.corpus import stores_of_line, test_split
from limpid.stages.held_out import answered, measured
from limpid.stages.questions import five_answers, full_measures, quick_measures
from limpid.stages.recipe import Recipe
from limpid.stages.rl_recipe import RlSection
from limpid.stages.training_run import Beside, Job, prepare_model
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.kl import AdaptiveKl
from limpid.training.objectives.policy_gradient import PolicyGradient, PolicyLoss, token_logprobs
from limpid.training.optim import Optimizers, OptimSection, build_optimizers
from limpid.training.schedule import ScheduleSection, factor

PARITY_PROMPTS = 4
"""Prompts whose answers the engine and the trainer are compared on, before anything is learnt."""
QUICK = 96
"""Held-out questions of a look during training."""


class Begun(NamedTuple):
    """What a method of learning is built from. policy: the model that learns. reference: a frozen copy of it as it was,
    answering: the engine of the present weights (`current` brings them up to date). rows: computed at once."""

    policy: Decoder
    reference: Decoder
    answering: Engine
    current: Callable[[], Engine]
    reference_logprobs: Callable[[AnswerBatch], Tensor]
    kl: AdaptiveKl
    dtype: torch.dtype
    world: World
    rows: Callable[[AnswerBatch], int]


class Method(NamedTuple):
    """How rewards become learning. exact_kl: the objective computes the divergence over the whole vocabulary.
    beside: a model that learns with the policy; beside_lr: its rate."""

    credit: Credit
    loss: PolicyLoss
    plan: RolloutPlan
    exact_kl: bool
    beside: Beside | None = None
    beside_lr: float = 0.0


def rl_job(
    stage: str,
    recipe: Recipe,
    section: RlSection,
    kl: float,
    source: Path,
    folder: Path,
    world: World,
    method_of: Callable[[Begun], Method],
) -> Job:
    """The job of a stage that learns from rewards; ``method_of`` says how."""
    checkpoint = store.read(source)
    tokenizer, config = checkpoint.tokenizer, checkpoint.config
    dtype = compute_dtype(recipe.train.dtype, world.device)
    seed = recipe.train.seed
    reference = inference_copy(checkpoint.model.to(world.device), dtype)
    policy, _ = prepare_model(with_dropout(checkpoint.model, 0.0), recipe, world, 0)
    answering = Engine(inference_copy(policy, dtype), rows=min(512, section.prompts * section.samples))
    stores = stores_of_line(recipe, tokenizer, folder / "tokens", checkpoint.path, world)
    questions, note = fitting(
        read_questions(section.path, section.held_out, seed, stage), section, tokenizer, config.context
    )
    panel = Panel(section.rewards, section.unfinished, RewardScorer.load)

    def current() -> Engine:
        answering.refresh(policy)
        return answering

    def rows(batch: AnswerBatch) -> int:
        # Half of what text is computed in: no token of a folded part is padding, and each part is of another shape, so
        # that hardly a buffer of one fits the next.
        return max(1, recipe.train.micro_tokens // 2 * len(batch.inputs) // max(1, batch.positions))

    def of_reference(batch: AnswerBatch) -> Tensor:
        return token_logprobs(reference, batch, dtype, section.temperature, rows(batch))

    begun = Begun(
        policy, reference, answering, current, shared(world, of_reference), AdaptiveKl(kl, section.kl_target), dtype,
        world, rows,
    )  # fmt: skip
    method = method_of(begun)
    objective = PolicyGradient(dtype, method.loss, begun.kl, reference if method.exact_kl else None)
    mix = []
    if section.demonstrations and section.imitation:
        shown = given.demonstrations(
            questions.demonstrations, tokenizer, section.demonstrations, section.imitation, config.context
        )
        mix.append(shown)
    if section.text_rows and section.text_coefficient:
        windows = TextBatches(stores["train"], config.context, section.text_rows, seed)
        mix.append(given.text(windows, section.text_coefficient))
    rollouts = Rollouts(
        questions.training, current, tokenizer, panel, method.credit, method.plan, begun.kl, world,
        mix=given.mixed(mix),
    )  # fmt: skip
    batches = _Guarded(rollouts, objective, Guard(stage, section.max_kl, section.length_bounds), folder)
    agreement = _parity(rollouts, policy, section.temperature, dtype, rows)
    embedded = section.path == "python-docs"

    def measure() -> dict[str, float]:
        if embedded:
            return quick_measures(current, tokenizer, seed)
        found = measured(current(), tokenizer, panel, questions.held_out[:QUICK], section.max_tokens)
        values = {name: interval.value for name, interval in found.items()}
        return values | {"minus_reward": -values["held-out reward"]}

    def conclude() -> dict[str, Any]:
        name, test = test_split(stores)
        measures: dict[str, Any] = {}
        for label, model in ((name, policy), (f"{name} before", reference)):
            score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
            measures[label] = score.bits_per_byte._asdict()
        if embedded:
            measures |= full_measures(current(), tokenizer, seed, recipe.eval.questions)
            answers = five_answers(answering, tokenizer, seed)
        else:
            held_out = questions.held_out[: recipe.eval.questions]
            for label, engine in (("", current()), (" before", Engine(reference))):
                found = measured(engine, tokenizer, panel, held_out, section.max_tokens)
                measures |= {f"{key}{label}": interval._asdict() for key, interval in found.items()}
            answers = answered(answering, tokenizer, held_out[:5], section.max_tokens)
        panel.close()
        return {"measures": measures, "answers": answers}

    optimizers = build_optimizers(policy, OptimSection(kind="adamw", lr=section.lr), config.d_model, dtype)
    if method.beside is not None:
        learning = OptimSection(kind="adamw", lr=method.beside_lr)
        more = build_optimizers(method.beside.model, learning, config.d_model, dtype)
        optimizers = Optimizers([*optimizers.parts, *more.parts])
    updates = section.steps * method.plan.updates
    return Job(
        model=policy,
        tokenizer=tokenizer,
        objective=objective,
        batches=batches,
        optimizers=optimizers,
        steps=updates,
        schedule=factor(
            ScheduleSection(warmup_steps=section.warmup_steps * method.plan.updates, decay=section.decay), updates
        ),
        micro_rows=rows,
        measure=measure,
        lower_is_better="wrong" if embedded else "minus_reward",
        sample=None if embedded else lambda: _sample(rollouts),
        extra=batches.measured,
        conclude=conclude,
        note=". ".join(filter(None, [note, agreement])),
        beside=method.beside,
        state=batches,
    )


def rewarded_by(recipe: Recipe, stage: Literal["grpo", "ppo"], source: Path, reward_model: Path | None) -> Recipe:
    """The recipe with that reward model where the stage's rewards say ``model`` without a path; where none does,
    instead of them all. Unset: the folder ``reward`` beside ``source``, for rewards that say so."""
    section: RlSection = getattr(recipe, stage)
    places = [r.function == "model" and not r.options for r in section.rewards]
    if reward_model is None and not any(places):
        return recipe
    path = reward_model or source.parent / "reward"
    model = RewardSection(function="model", options={"path": str(path)})
    rewards = tuple(
        model.model_copy(update={"weight": reward.weight}) if here else reward
        for reward, here in zip(section.rewards, places, strict=True)
    )
    rewards = rewards if any(places) else (model,)
    return recipe.model_copy(update={stage: section.model_copy(update={"rewards": rewards})})


class _Guarded:
    """The rollouts, refused once the policy has left its bounds; some answers of each go to samples.jsonl.

    measured: of the rollout in use and of what was learnt from it so far, by all processes.
    """

    def __init__(self, rollouts: Rollouts, objective: PolicyGradient, guard: Guard, folder: Path) -> None:
        self.rollouts, self.objective, self.guard, self.world = rollouts, objective, guard, rollouts.world
        self.samples = SamplesLog(folder) if self.world.leads else None

    def __getitem__(self, step: int) -> AnswerBatch:
        rollout, update = divmod(step, self.rollouts.plan.updates)
        if update:
            return self.rollouts[step]
        learnt = self.objective.measured(self._sums())
        if "kl_an_answer" in learnt:  # the exact divergence, which is known only now
            self.rollouts.kl.observe(learnt["kl_an_answer"])
        self.objective.reset()
        trim_memory()  # answers differ in length from step to step, and so do the buffers
        batch = self.rollouts[step]
        if self.samples is not None:
            self.samples.write(step + 1, self.rollouts.samples)
        drawn = self.rollouts.measured
        self.guard.check(rollout, drawn.get("kl", learnt.get("kl", 0.0)), drawn["length"])
        return batch

    def measured(self) -> dict[str, float]:
        return self.rollouts.measured | self.objective.measured(self._sums())

    def tensors(self) -> dict[str, Tensor]:
        """For a resume; see `Rollouts.tensors`."""
        return self.rollouts.tensors() | {"measured_sums": self._sums()}

    def load_tensors(self, state: dict[str, Tensor]) -> None:
        self.rollouts.load_tensors(state)
        if self.world.leads:  # what all had seen is kept by one
            self.objective.sums = state["measured_sums"]

    def _sums(self) -> Tensor:
        sums = self.objective.sums.clone()
        return self.world.sum(sums.to(self.world.device)).cpu() if self.world.size > 1 else sums


def _parity(
    rollouts: Rollouts, policy: Decoder, temperature: float, dtype: torch.dtype, rows: Callable[[AnswerBatch], int]
) -> str:
    answers = rollouts.answers(0, range(min(PARITY_PROMPTS, rollouts.plan.prompts)))
    batch = rows_of(
        [a.prompt for a in answers],
        [a.drawn.ids for a in answers],
        drawn=True,
        per_token={"logprobs": [a.drawn.logprobs for a in answers]},
    )
    found = token_logprobs(policy, batch, dtype, temperature, rows(batch))
    settle(policy)
    return str(parity(batch, found, dtype))


def fitting(questions: Questions, section: RlSection, tokenizer: Tokenizer, context: int) -> tuple[Questions, str]:
    """Without the rows whose prompt leaves no room for an answer of max_tokens, and how many those were."""
    room = context - section.max_tokens
    if room < 1:
        raise LimpidError(f"max_tokens = {section.max_tokens} leaves no room for a prompt in a context of {context}.")

    def fits(question: Question) -> bool:
        return len(prompt(tokenizer, question.messages)) <= room

    left, dropped = questions.only(fits)
    if not dropped:
        return left, ""
    return left, f"{dropped} prompts are longer than {room} tokens (context less max_tokens) and are left out"


def _sample(rollouts: Rollouts) -> tuple[str, str]:
    sample = rollouts.samples[0]
    return sample["prompt"], f"{sample['answer']}  (reward {sample['reward']:.2f})"
