"""The training loop, as a generator: it computes, the caller decides what to print, evaluate and save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from limpid.core.errors import LimpidError
from limpid.core.seeding import integer
from limpid.data.batches import Batches
from limpid.nn.sharded import whole
from limpid.parallel.environment import World
from limpid.training.objectives.next_token import LooksFirst, Objective
from limpid.training.optim import Optimizers


class StepReport(NamedTuple):
    """What one optimizer step did.

    step: how many steps are finished, this one included. loss: weighted mean over the global batch, in nats a token
    for next-token objectives. grad_norm: before clipping. learning_rate: factor on every base rate. tokens: positions
    computed, by all processes. seconds: wall time of the step.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    seconds: float


def fit(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    optimizers: Optimizers,
    *,
    start: int,
    steps: int,
    schedule: Callable[[int], float],
    clip: float,
    micro_rows: int | Callable[[Any], int],
    seed: int,
    world: World,
) -> Iterator[StepReport]:
    """Steps ``start`` .. ``steps - 1``, each: global batch -> this process's rows -> micro-batches -> one update.

    micro_rows: how many rows are computed at once; a function of the global batch where batches differ in length.
    The summed losses of all micro-batches and processes are divided once, by the weight of the global batch. Dropout
    draws from (seed, step, micro-batch, rank), so nothing but the step has to be remembered.

    Raises:
        LimpidError: every target of a batch is masked, or the loss is not finite; the weights are then those before
            the step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    for step in range(start, steps):
        began = time.perf_counter()
        whole = batches[step]
        weight = whole.total_weight
        if weight <= 0:
            raise LimpidError(
                f"step {step + 1}: no token of the batch is trained: every target of its {len(whole.inputs)} rows is "
                "masked, so there is nothing to learn from it. Prompts without answers, or answers behind the end of "
                "the context, come to this; limpid data inspect shows the rows."
            )
        mine = whole.rows(*world.share(len(whole.inputs)))
        model.train()
        optimizers.zero_grad()
        summed = torch.zeros((), device=world.device)
        rows = micro_rows if isinstance(micro_rows, int) else micro_rows(whole)
        parts = [*_micro_batches(mine, rows, skip=world.size == 1)]
        if isinstance(objective, LooksFirst):
            objective.look(model, parts, world)
        for micro, part in enumerate(parts):
            torch.manual_seed(integer(seed, "dropout", step, micro, world.rank))
            loss = objective(model, part.to(world.device))
            # FSDP averages gradients over processes; we want their sum over the global weight.
            (loss * (world.size / weight)).backward()
            summed += loss.detach()
        mean = float(world.sum(summed)) / weight
        norm = clip_gradients(parameters, clip)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise LimpidError(
                f"step {step + 1}: the loss is {mean} (gradient norm {norm}); the update was not made. The batch is "
                f"number {step} of seed {seed}. Lower optim.lr, or look at that batch's text."
            )
        factor = schedule(step)
        optimizers.step(factor)
        positions = getattr(whole, "positions", whole.inputs.numel())  # a batch that is not computed row by row says so
        yield StepReport(step + 1, mean, norm, factor, positions, time.perf_counter() - began)


def clip_gradients(parameters: list[nn.Parameter], clip: float) -> float:
    """The global gradient norm; gradients are scaled down to ``clip`` where it is larger (0: never)."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = torch.nn.utils.get_total_norm(gradients)
    norm = float(whole(total))
    if clip and math.isfinite(norm) and norm > clip:
        torch._foreach_mul_(gradients, clip / (norm + 1e-6))
    return norm


def _micro_batches(batch: Any, rows: int, *, skip: bool) -> Iterator[Any]:
    """Parts of ``rows`` rows; skip: leave out those that weigh nothing (of several processes each computes as many)."""
    for at in range(0, len(batch.inputs), rows):
        part = batch.rows(at, at + rows)
        if not skip or part.total_weight > 0 or len(batch.inputs) <= rows:
            yield part
