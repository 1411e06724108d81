"""The policy gradient on a toy whose E[R] can be summed: three tokens, answers of one or two of them, two prompts.

Token 2 ends an answer. Estimates from drawn answers must scatter around the exact gradient, and those that are known to
lean (division by the deviation, means over each answer's own tokens) must be seen to lean by the same test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.test_policy_gradient import plain_head
from torch import Tensor, nn

from limpid.data.answer_batch import AnswerBatch
from limpid.rollout.rollouts import normalised
from limpid.training.objectives.advantages import advantages_of, generalised_advantages
from limpid.training.objectives.kl import AdaptiveKl
from limpid.training.objectives.policy_gradient import PolicyGradient, PolicyLoss

STOP, LONGEST, GROUP, PROMPTS, BATCHES = 2, 2, 4, 64, 400
FIRST = {0: 3, 1: 4}  # the token that stands for each prompt
REWARD = {  # an easy prompt and a hard one
    0: {(0, 0): 1.0, (0, 1): 1.0, (0, 2): 0.9, (1, 0): 0.8, (1, 1): 1.0, (1, 2): 1.0, (2,): 0.0},
    1: {(0, 0): 0.0, (0, 1): 0.0, (0, 2): 3.0, (1, 0): 0.0, (1, 1): 0.2, (1, 2): 0.0, (2,): 0.4},
}  # fmt: skip


class Bigram(nn.Module):
    """Logits of the next token by the last one: (5, 3) parameters."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(5)
        self.table = nn.Parameter(torch.randn(5, 3, generator=draw) * 0.7)
        self.head = plain_head(3)

    def forward(self, ids: Tensor, **_: Any) -> Tensor:
        return self.table[ids]


def exact_gradient(policy: Bigram) -> np.ndarray:
    """Of E[R], by summing over all answers; for the mean over the two prompts."""
    probability = policy.table.softmax(-1)
    expected = torch.zeros(())
    for which, rewards in REWARD.items():
        for answer, reward in rewards.items():
            chance = probability[FIRST[which], answer[0]]
            if len(answer) == 2:
                chance = chance * probability[answer[0], answer[1]]
            expected = expected + 0.5 * chance * reward
    (gradient,) = torch.autograd.grad(expected, policy.table)
    return gradient.numpy()


def drawn(policy: Bigram, draw: np.random.Generator) -> tuple[AnswerBatch, Tensor]:
    """PROMPTS x GROUP answers as a batch of two places, and their rewards."""
    probability = policy.table.detach().double().softmax(-1).numpy()
    which = np.repeat(np.arange(PROMPTS) % 2, GROUP)
    inputs = np.empty((len(which), LONGEST), dtype=np.int64)
    inputs[:, 0] = [FIRST[prompt] for prompt in which]
    targets = np.empty_like(inputs)
    for place in range(LONGEST):
        below = probability[inputs[:, place]].cumsum(1)
        targets[:, place] = np.minimum((draw.random(len(which))[:, None] > below).sum(1), STOP)
        if place + 1 < LONGEST:
            inputs[:, place + 1] = targets[:, place]
    spoken = np.ones(inputs.shape, dtype=bool)
    spoken[:, 1] = targets[:, 0] != STOP
    answers = [tuple(row[said].tolist()) for row, said in zip(targets, spoken, strict=True)]
    rewards = torch.tensor([REWARD[prompt][answer] for prompt, answer in zip(which, answers, strict=True)])
    nothing = torch.zeros(inputs.shape)
    logprobs = torch.tensor(np.log(probability[inputs, targets]) * spoken, dtype=torch.float32)
    batch = AnswerBatch(
        torch.tensor(inputs), torch.tensor(targets), torch.tensor(spoken, dtype=torch.float32),
        torch.ones(len(which), dtype=torch.bool), nothing, logprobs, nothing, nothing, nothing, torch.ones(len(which)),
    )  # fmt: skip
    return batch, rewards.view(PROMPTS, GROUP)


def estimates(baseline: str, *, divide_std: bool = False, normalise: str = "constant") -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of the gradient that is followed, over many batches."""
    policy, draw, found = Bigram(), np.random.default_rng(1), []
    for _ in range(BATCHES):
        batch, rewards = drawn(policy, draw)
        spoken = batch.weights > 0
        if baseline == "value":  # any function of what was said so far is a fair baseline; GAE with lambda = 1
            values = (0.3 + 0.2 * batch.inputs) * spoken
            each = torch.zeros_like(batch.weights)
            each[torch.arange(len(each)), batch.lengths - 1] = rewards.flatten()
            advantages, _ = generalised_advantages(each, values, spoken, discount=1.0, smoothing=1.0)
        else:
            of_answer = advantages_of(rewards, baseline, divide_std=divide_std)  # type: ignore[arg-type]
            advantages = of_answer.flatten()[:, None] * spoken
        batch = normalised(batch._replace(advantages=advantages), normalise, LONGEST)  # type: ignore[arg-type]
        loss = PolicyGradient(torch.float32, PolicyLoss(kl_in_loss=False), AdaptiveKl(0.0))(policy, batch)
        (gradient,) = torch.autograd.grad(loss / batch.total_weight, policy.table)
        found.append(-gradient.numpy())
    stacked = np.stack(found).astype(np.float64)
    return stacked.mean(0), stacked.std(0, ddof=1) / np.sqrt(BATCHES)


def leaning(mean: np.ndarray, error: np.ndarray, direction: np.ndarray) -> float:
    """The largest distance of the mean from the direction, scaled as fits it best, in standard errors."""
    scale = (mean * direction).sum() / (direction**2).sum()
    return float((np.abs(mean - scale * direction) / (error + 1e-12)).max())


@pytest.mark.parametrize(
    ("baseline", "scale"),
    [("none", 1.0), ("leave_one_out", 1.0), ("batch", 1.0), ("group", (GROUP - 1) / GROUP), ("value", 1.0)],
)
def test_the_estimate_scatters_around_the_exact_gradient(baseline, scale):
    exact = exact_gradient(Bigram())
    mean, error = estimates(baseline)
    goal = exact * scale / LONGEST  # "constant" divides by the longest answer
    assert (np.abs(mean - goal) <= 4 * error + 1e-9).all()
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(goal)  # or nothing would have been shown


@pytest.mark.parametrize(
    "change", [{"divide_std": True}, {"normalise": "answers"}], ids=["divided by the deviation", "a mean an answer"]
)
def test_the_estimates_that_are_known_to_lean_do(change):
    exact = exact_gradient(Bigram())
    assert leaning(*estimates("group", **change), exact) > 6
    assert leaning(*estimates("group"), exact) < 4
