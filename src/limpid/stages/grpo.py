"""Policy-gradient RL with a verifiable reward (GRPO): from imitating answers to being rewarded for right ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.data.batches import Batch
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.models.registry import with_dropout
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype, trim_memory
from limpid.rollout.rollouts import RolloutPlan, Rollouts
from limpid.stages.corpus import stores_of_line, test_split
from limpid.stages.events import Event
from limpid.stages.questions import dialogues, five_answers, full_measures, quick_measures
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.training.objectives.policy_gradient import PolicyGradient
from limpid.training.optim import OptimSection, build_optimizers
from limpid.training.schedule import ScheduleSection, factor


def grpo(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Improve the chat model at ``source`` on questions whose answers can be checked, in ``out``.

    Right +1, admitted ignorance 0, wrong -1. The divergence from the model at ``source`` is a cost in the loss, is
    measured at every step, and ends the run with an error where it passes ``grpo.max_kl``.
    """
    settings = recipe.grpo

    def prepare(folder: Path) -> Job:
        checkpoint = store.read(source)
        tokenizer, config = checkpoint.tokenizer, checkpoint.config
        dtype = compute_dtype(recipe.train.dtype, world.device)
        reference = inference_copy(checkpoint.model.to(world.device), dtype)
        model, _ = prepare_model(with_dropout(checkpoint.model, 0.0), recipe, world, 0)
        answering = Engine(inference_copy(model, dtype))
        stores = stores_of_line(recipe, tokenizer, folder / "tokens", checkpoint.path, world)
        objective = PolicyGradient(dtype, reference, settings.kl, settings.temperature)
        seed = recipe.train.seed

        def current() -> Engine:
            answering.refresh(model)
            return answering

        plan = RolloutPlan(
            settings.prompts,
            settings.samples,
            settings.demonstrations,
            settings.imitation,
            settings.temperature,
            settings.max_tokens,
            recipe.train.seed,
        )
        micro_rows = 16
        rollouts = Rollouts(dialogues(seed).rl_prompts, dialogues(seed).training, current, tokenizer, plan, micro_rows)

        class Guarded:
            """The rollouts, refused once the policy has left its bounds."""

            def __getitem__(self, step: int) -> Batch:
                if objective.measured["kl"] > settings.max_kl:
                    raise LimpidError(
                        f"step {step}: the policy is {objective.measured['kl']:.2f} nats a token from the SFT model, "
                        f"past grpo.max_kl = {settings.max_kl}; raise grpo.kl or lower grpo.lr."
                    )
                objective.reset()
                trim_memory()  # answers differ in length from step to step, and so do the buffers
                return rollouts[step]

        def conclude() -> dict[str, Any]:
            name, test = test_split(stores)
            score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
            measures = {name: score.bits_per_byte._asdict()}
            measures |= full_measures(current(), tokenizer, seed, recipe.eval.questions)
            return {"measures": measures, "answers": five_answers(answering, tokenizer, seed)}

        schedule = factor(ScheduleSection(warmup_steps=settings.warmup_steps, decay=0.5), settings.steps)
        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=objective,
            batches=Guarded(),
            optimizers=build_optimizers(model, OptimSection(kind="adamw", lr=settings.lr), config.d_model, dtype),
            steps=settings.steps,
            schedule=schedule,
            micro_rows=micro_rows,
            measure=lambda: quick_measures(current, tokenizer, seed),
            lower_is_better="wrong",
            sample=None,
            extra=lambda: rollouts.measured | objective.measured,
            conclude=conclude,
        )

    yield from train_stage("grpo", recipe, out, world, resume=resume, prepare=prepare)
