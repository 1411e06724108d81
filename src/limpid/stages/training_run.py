"""What pretraining, fine-tuning and RL have in common: one folder, one lock, one loop, and a resume to the bit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

from limpid.checkpoint import store
from limpid.checkpoint.shards import read_shards
from limpid.core.errors import Interrupted, LimpidError
from limpid.core.logging import MetricsLog, TextsLog
from limpid.core.paths import RunLock, atomic_write_text, clean_leftovers, ensure_directory
from limpid.core.recipe import Section, saved, written
from limpid.core.signals import StopRequest
from limpid.data.batches import Batches
from limpid.models.count import flops_per_token
from limpid.models.lora import add_lora, trained_share
from limpid.models.model import Model
from limpid.nn.experts import Experts
from limpid.parallel.environment import World
from limpid.parallel.hardware import (
    can_compile,
    compute_dtype,
    keep_memory,
    matmul_rate,
    memory_bytes,
    peak_rss_bytes,
    release_memory,
)
from limpid.parallel.shard import settle, shard
from limpid.stages.events import Evaluated, Event, Finished, Sampled, Saved, Started
from limpid.stages.recipe import Recipe
from limpid.stages.sitting import Sitting
from limpid.text.tokenizer import Tokenizer
from limpid.training.fit import fit
from limpid.training.objectives.next_token import Objective
from limpid.training.optim import Optimizers

COMPILE_FROM = 1_000_000
"""Positions a run must compute before ``train.compile = auto`` finds compiling worth its time."""


M = TypeVar("M", bound=Model)


class Beside(NamedTuple):
    """A module that learns with the model and is kept in its checkpoints for a resume, under ``name``.

    together: the module whose parts both are, which the objective is given.
    """

    name: str
    model: nn.Module
    together: nn.Module


class State(Protocol):
    """What a resume needs besides the weights and the step."""

    def tensors(self) -> dict[str, Tensor]: ...

    def load_tensors(self, state: dict[str, Tensor]) -> None: ...


class Job(NamedTuple):
    """What one stage trains, once its folder is open.

    measure: held-out measures by name, cheap enough to take often. lower_is_better: the one that decides the best
    checkpoint. extra: more numbers for a step's line in the metrics. conclude: the summary's measures and answers.
    note: what the user should know before it starts. length: places of a typical row, for counting FLOPs; 0: context.
    beside: what learns with the model. state: what else a resume needs.
    """

    model: Any
    tokenizer: Tokenizer
    objective: Objective
    batches: Batches
    optimizers: Optimizers
    steps: int
    schedule: Callable[[int], float]
    micro_rows: int | Callable[[Any], int]
    measure: Callable[[], dict[str, float]]
    lower_is_better: str
    sample: Callable[[], tuple[str, str]] | None
    extra: Callable[[], Mapping[str, float]]
    conclude: Callable[[], dict[str, Any]]
    note: str = ""
    length: int = 0
    beside: Beside | None = None
    state: State | None = None

    def names(self) -> dict[nn.Parameter, str]:
        """All parameters that learn, by the names their optimizer state is kept under."""
        names = {p: name for name, p in self.model.named_parameters()}
        if self.beside is not None:
            names |= {p: f"{self.beside.name}.{name}" for name, p in self.beside.model.named_parameters()}
        return names

    def more(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds besides model and optimizer: file -> tensors."""
        more = (
            {} if self.beside is None else {self.beside.name: dict[str, Tensor](self.beside.model.named_parameters())}
        )
        return more if self.state is None else more | {"state": self.state.tensors()}


def prepare_model(
    model: M, recipe: Recipe, world: World, steps: int, *, dynamic: bool = False, fresh: bool = False
) -> tuple[M, bool]:
    """Adapt (where the recipe has LoRA), move, share and, where it pays, compile a model; also whether it was compiled.

    dynamic: batches differ in shape, so that one compiled block must serve them all. fresh: the model has learnt
    nothing yet, so there is nothing to adapt.
    """
    if recipe.lora.rank and not fresh:
        add_lora(model, recipe.lora, recipe.train.seed)
    keep_memory()
    model.to(world.device)
    dtype = compute_dtype(recipe.train.dtype, world.device)
    shard(model, world, dtype)
    wish = recipe.train.compile
    positions = steps * recipe.train.tokens_per_step
    compiled = can_compile() and positions >= COMPILE_FROM if wish == "auto" else wish
    if compiled:
        blocks: Any = model.blocks
        for block in blocks:
            for part in block.modules():
                if isinstance(part, Experts):
                    part.keep_from_compiler()
            block.compile(dynamic=dynamic)
    return model, compiled


def train_stage(
    stage: str, recipe: Recipe, out: Path, world: World, *, resume: bool, prepare: Callable[[Path], Job]
) -> Iterator[Event]:
    """Run a stage in ``out`` to its end, or to a signal; ``prepare`` is called once the folder is ours.

    Raises:
        Interrupted: SIGINT or SIGTERM came; everything up to the last finished step is saved.
        LimpidError: ``out`` holds a run and ``resume`` was not asked for, or its recipe is another one.
    """
    recipe = recipe.resolved(world.device)
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        sitting: Sitting | None = None
        if world.leads:
            ensure_directory(out)
            stack.enter_context(RunLock(out))
            clean_leftovers(out)
            clean_leftovers(out / "checkpoints")
            claim(stage, recipe, out, resume)
            sitting = stack.enter_context(Sitting(out, processes=world.size))
        world.wait()
        release_memory()
        began = time.perf_counter()
        job = prepare(out)
        done = _restore(out, job, world) if resume else {}
        start = int(done.get("step", 0))
        compiled = any(block._compiled_call_impl is not None for block in job.model.blocks)
        dtype = compute_dtype(recipe.train.dtype, world.device)
        parameters = sum(p.numel() for p in job.model.parameters())
        named = str(dtype).removeprefix("torch.")
        note = "; ".join(part for part in (trained_share(job.model), job.note) if part)
        yield Started(stage, start, job.steps, parameters, str(world.device), named, compiled, note)
        log = stack.enter_context(MetricsLog(out, step=start)) if world.leads else None
        texts = TextsLog(out, step=start) if world.leads else None
        flops_a_token = flops_per_token(job.model, job.length or job.model.config.context)
        rate = matmul_rate(dtype, world.device.type) * world.size
        if sitting is not None:
            sitting.note(
                steps=job.steps, parameters=parameters, device=str(world.device), dtype=named,
                flops_per_token=flops_a_token, matmul_flops_per_second=rate,
            )  # fmt: skip
        clock = _Clock(done, began)
        best: dict[str, Any] = done.get("best", {})

        def save(step: int) -> Saved:
            path = store.checkpoint_path(out, step)
            state = {"stage": stage, "step": step, "best": best, **clock.state()}
            tensors = {"optimizer": job.optimizers.tensors(job.names()), **job.more()}
            store.write(path, job.model, job.tokenizer, state, world, tensors)
            if world.leads:
                store.prune(out, recipe.checkpoint.keep, best.get("step"))
            return Saved(step, path)

        def evaluate(step: int) -> Evaluated:
            nonlocal best
            values = job.measure()
            settle(job.model)
            release_memory()
            value = values.get(job.lower_is_better)
            if value is not None and value < best.get("value", float("inf")):
                best = {"step": step, "value": value}
            if log:
                log.write(step, values)
            return Evaluated(step, values)

        reports = fit(
            job.beside.together if job.beside else job.model, job.objective, job.batches, job.optimizers,
            start=start, steps=job.steps, schedule=job.schedule, clip=recipe.optim.clip,
            micro_rows=job.micro_rows, seed=recipe.train.seed, world=world,
        )  # fmt: skip
        saved = start
        for report in reports:
            clock.add(report.tokens, report.seconds)
            extra = job.extra()  # of all processes
            if log:
                speed = report.tokens / report.seconds
                machine = {"memory_bytes": memory_bytes(world.device), "utilisation": speed * flops_a_token / rate}
                log.write(report.step, {**report._asdict(), "tokens_per_second": speed, **machine, **extra})
            yield report
            last = report.step == job.steps
            due = recipe.checkpoint.every and report.step % recipe.checkpoint.every == 0
            if last or (recipe.eval.every and report.step % recipe.eval.every == 0):
                yield evaluate(report.step)
                due = due or (recipe.checkpoint.every and world.any(best.get("step") == report.step))
                if job.sample is not None:
                    prompt, text = job.sample()
                    if texts is not None:
                        texts.write(report.step, prompt, text)
                    yield Sampled(report.step, prompt, text)
                    settle(job.model)
            stopped = world.any(stop.code is not None)
            if last or stopped or due:
                yield save(report.step)
                saved = report.step
            if stopped and not last:
                code = stop.code or 143
                raise Interrupted(f"stopped at step {saved} of {job.steps}; --resume continues from there.", code)
        flops = clock.tokens * flops_a_token
        conclusion = job.conclude()
        summary = {
            "stage": stage,
            "steps": job.steps,
            **clock.state(),
            "tokens_per_second": clock.tokens / max(clock.train_seconds, 1e-9),
            "flops_per_second": flops / max(clock.train_seconds, 1e-9),
            "matmul_flops_per_second": matmul_rate(dtype, world.device.type),
            "dtype": named,
            "parameters": parameters,
            "best": best,
            "peak_rss_bytes": peak_rss_bytes(),
            **conclusion,
        }
        if world.leads:
            atomic_write_text(out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False))
        yield Finished(stage, summary)


class _Clock:
    """Time and tokens of a run over all its sittings: of training steps (compiling counts), and all in all."""

    def __init__(self, done: dict[str, Any], began: float) -> None:
        self.tokens = int(done.get("tokens", 0))
        self.train_seconds = float(done.get("train_seconds", 0.0))
        self._before, self._began = float(done.get("seconds", 0.0)), began

    def add(self, tokens: int, seconds: float) -> None:
        self.tokens += tokens
        self.train_seconds += seconds

    def state(self) -> dict[str, float]:
        seconds = self._before + time.perf_counter() - self._began
        return {"tokens": self.tokens, "train_seconds": self.train_seconds, "seconds": seconds}


def claim(stage: str, recipe: Section, out: Path, resume: bool) -> None:
    """Save the recipe in a new folder; in one with a run, demand ``resume`` and the same recipe."""
    path, text = out / "recipe.toml", written(stage, recipe)
    if not store.steps_of(out):
        atomic_write_text(path, text)
        return
    if not resume:
        raise LimpidError(f"{out} already holds a run: add --resume to continue it, or give another --out.")
    if (before := saved(path, type(recipe))) != text:
        changed = sorted(set(text.splitlines()) - set(before.splitlines()))
        changed += sorted(set(before.splitlines()) - set(text.splitlines()))
        raise LimpidError(f"{out} was begun with another recipe ({changed[0]}); resume it with the same one.")


def _restore(out: Path, job: Job, world: World) -> dict[str, Any]:
    """Load the newest checkpoint of ``out`` into the job; {} where there is none."""
    steps = store.steps_of(out)
    if not steps:
        return {}
    folder = store.checkpoint_path(out, steps[-1])
    if world.leads:
        store.verify(folder)
    checkpoint_tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if checkpoint_tokenizer.fingerprint != job.tokenizer.fingerprint:
        raise LimpidError(f"{folder} was trained with another tokenizer than {out / 'tokenizer.json'}.")
    store.load_tensors(job.model, read_shards(folder, "model"), str(folder))
    if job.beside is not None:
        store.load_tensors(job.beside.model, read_shards(folder, job.beside.name), str(folder))
    job.optimizers.load_tensors(job.names(), read_shards(folder, "optimizer"))
    if job.state is not None:
        job.state.load_tensors(read_shards(folder, "state"))
    return store.state_of(folder)
