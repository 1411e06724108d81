"""The loss of a task, number by number, and every form of task learnt by heart."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.conftest import random_llama
from tests.models.test_task import task_model
from tests.models.variants import random_decoder

from limpid.data.task_batches import TaskBatch, TaskBatches, TaskExamples
from limpid.parallel.environment import World
from limpid.training.fit import fit
from limpid.training.objectives.task import TaskLoss
from limpid.training.optim import OptimSection, build_optimizers

EXAMPLES = TaskExamples([[[1, 2, 3, 4]], [[5, 6]], [[7, 8, 9, 10, 11, 12]]], [0, 1, 1])


def test_the_loss_is_the_tasks_plus_half_the_mean_of_the_next_tokens() -> None:
    model = task_model(random_llama(), "single", 2)
    batch = EXAMPLES.batch([0, 1, 2])
    with torch.no_grad():
        both = TaskLoss(torch.float32, 0.5)(model, batch)
        alone = TaskLoss(torch.float32, 0.0)(model, batch)
        expected = next_tokens = torch.zeros(())
        for (sequence,), label in zip(EXAMPLES.sequences, EXAMPLES.labels, strict=True):
            hidden = model.backbone(torch.tensor([sequence]))[0]
            expected = expected + F.cross_entropy(model.head(hidden[None, -1:])[0], torch.tensor(int(label)))
            logits = model.backbone.head(hidden[:-1])
            next_tokens = next_tokens + F.cross_entropy(logits, torch.tensor(sequence[1:]))
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(both, expected + 0.5 * next_tokens, atol=1e-4, rtol=1e-5)


def test_the_balance_of_experts_counts_once_an_example_and_padding_not_at_all() -> None:
    backbone = random_decoder("mixtral", 8, balance_loss=0.5, window=0)
    model = task_model(backbone, "single", 2)
    bare = task_model(random_decoder("mixtral", 8, balance_loss=0.0, window=0), "single", 2)
    even = TaskExamples([[[1, 2, 3, 4]], [[7, 8, 9, 10]], [[5, 6, 7, 8]]], [0, 1, 1]).batch([0, 1, 2])
    loss, penalties = TaskLoss(torch.float32, 0.0), list[torch.Tensor]()
    with torch.no_grad():
        backbone(even.inputs[:, 0, :4], penalties=penalties)
        found, without = loss(model, even), loss(bare, even)
    assert float(found - without) == pytest.approx(3 * float(sum(penalties)), rel=1e-3)
    longer = TaskBatch(F.pad(even.inputs, (0, 40)), even.lengths, even.labels)
    with torch.no_grad():
        torch.testing.assert_close(loss(model, longer), found, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("task", ["single", "similarity", "choice"])
def test_micro_batches_sum_to_the_whole(task: str) -> None:
    sequences = [[[1, 2, 3], [4, 5]], [[6, 7, 8, 9], [3, 2]], [[5, 5], [2, 9, 1]]]
    examples = TaskExamples(sequences if task != "single" else [s[:1] for s in sequences], [0, 1, 1])
    model = task_model(random_llama(), task, 1 if task == "choice" else 2)
    loss, batch = TaskLoss(torch.float32, 0.5), examples.batch([0, 1, 2])
    with torch.no_grad():
        parts = sum(loss(model, batch.rows(i, i + 1)) for i in range(3))
        torch.testing.assert_close(loss(model, batch), parts, atol=1e-4, rtol=1e-5)


def test_scores_are_learnt_in_units_of_their_deviation() -> None:
    model = task_model(random_llama(), "single", 1, mean=3.0, deviation=2.0)
    batch = EXAMPLES.batch([0, 1, 2])
    with torch.no_grad():
        answers = model(batch.inputs, batch.lengths).answers[:, 0]
        found = TaskLoss(torch.float32, 0.0)(model, batch)
    torch.testing.assert_close(found, (answers - (batch.labels - 3) / 2).square().sum(), atol=1e-4, rtol=1e-5)


def sequences_of(task: str) -> tuple[list[list[list[int]]], list[float], int]:
    draw = torch.Generator().manual_seed(0)
    count = {"single": 1, "pair": 1, "similarity": 2, "choice": 3, "score": 1}[task]
    rows = torch.randint(1, 300, (8, count, 6), generator=draw).tolist()
    labels = {"choice": [0, 1, 2, 0, 1, 2, 0, 1], "score": [0.5, -1, 2, 0, 1, -2, 1.5, 0.2]}
    return rows, labels.get(task, [0, 1, 2, 0, 1, 2, 0, 1]), 1 if task in ("choice", "score") else 3


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("task", ["single", "pair", "similarity", "choice", "score"])
def test_one_batch_of_every_form_is_learnt_by_heart(task: str, kind: str) -> None:
    rows, labels, outputs = sequences_of(task)
    examples = TaskExamples(rows, labels)
    model = task_model(random_llama(qk_norm=True), "single" if task == "score" else task, outputs)
    section = OptimSection.model_validate({"kind": kind, "lr": 3e-3 if kind == "adamw" else 0.02})
    optimizers = build_optimizers(model, section, 32, torch.float32)
    trained = {p for part in optimizers.parts for group in part.param_groups for p in group["params"]}
    assert trained == set(model.parameters())
    reports = list(
        fit(
            model, TaskLoss(torch.float32, 0.0), TaskBatches(examples, 8, 0), optimizers, start=0, steps=150,
            schedule=lambda step: 1 - step / 150, clip=1.0, micro_rows=8, seed=0,
            world=World(0, 1, torch.device("cpu")),
        )
    )  # fmt: skip
    assert reports[-1].loss < 0.02 < reports[0].loss
