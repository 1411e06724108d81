"""Rollouts as a source of batches: prompts -> sampled answers -> rewards -> rows to learn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from limpid.core.seeding import integer
from limpid.data.batches import Batch
from limpid.data.conversations import Conversation, grade
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer

LENGTH_STEP = 32
"""Rows are padded to a multiple of this: each new shape costs oneDNN a kernel, and the allocator another buffer."""
REWARDS = {"right": 1.0, "admitted": 0.0, "wrong": -1.0}


class RolloutPlan(NamedTuple):
    """prompts a step, samples a prompt, and how they are drawn; demonstrations a step, and their advantage."""

    prompts: int
    samples: int
    demonstrations: int
    imitation: float
    temperature: float
    max_tokens: int
    seed: int


class Rollouts:
    """The batch of step s: the questions of that step, each answered several times by the weights of that moment.

    The advantage of an answer is its reward less the mean of its group (GRPO, Shao et al. 2024, without division by
    the deviation: Liu et al. 2025), the same at each of its tokens, the end of the turn included. The token ids are
    those that were drawn; no text is tokenised again. Groups whose answers all earned the same teach nothing and are
    left out (dynamic sampling: Yu et al. 2025, section 3.2), so that the time goes into the others.

    Demonstrations (right answers, given) are rows of the same kind with an advantage of their own.

    measured: of the last batch, the mean reward, the share of wrong answers and the mean length in tokens.
    """

    def __init__(
        self,
        ask: Callable[[int], Conversation],
        demonstrate: Callable[[int], Conversation],
        engine: Callable[[], Engine],
        tokenizer: Tokenizer,
        plan: RolloutPlan,
        row_multiple: int,
    ) -> None:
        self.ask, self.demonstrate = ask, demonstrate
        self.engine, self.tokenizer, self.plan = engine, tokenizer, plan
        self.row_multiple = row_multiple
        self.measured: dict[str, float] = {}

    def __getitem__(self, step: int) -> Batch:
        plan = self.plan
        questions = [self.ask(step * plan.prompts + i) for i in range(plan.prompts)]
        prompts = [prompt(self.tokenizer, q.prompt) for q in questions]
        sampling = Sampling(
            temperature=plan.temperature, max_tokens=plan.max_tokens, seed=integer(plan.seed, "rollout", step) >> 32
        )
        stop_ids = {self.tokenizer.end_of_turn}
        answers: list[list[int]] = [[] for _ in range(plan.prompts * plan.samples)]
        for events in self.engine().generate(prompts, sampling, stop_ids=stop_ids, copies=plan.samples):
            for event in events:
                answers[event.row].append(event.token_id)
        grades = [self._grade(questions[row // plan.samples], answer) for row, answer in enumerate(answers)]
        rewards = torch.tensor([REWARDS[g] for g in grades]).view(plan.prompts, plan.samples)
        advantages = (rewards - rewards.mean(1, keepdim=True)).flatten().tolist()
        self.measured = {
            "reward": float(rewards.mean()),
            "sampled_wrong": grades.count("wrong") / len(grades),
            "length": sum(map(len, answers)) / len(answers),
            "informative_groups": float((rewards.std(1, correction=0) > 0).float().mean()),
        }
        informative = (rewards.std(1, correction=0) > 0).tolist()
        if not any(informative) and not plan.demonstrations:
            informative = [True] * plan.prompts  # a step needs rows; these hold the policy by its divergence alone
        kept = [row for row in range(len(answers)) if informative[row // plan.samples]]
        rows = [prompts[row // plan.samples] for row in kept]
        answers, advantages = [answers[row] for row in kept], [advantages[row] for row in kept]
        for index in range(step * plan.demonstrations, (step + 1) * plan.demonstrations):
            shown = self.demonstrate(index)
            rows.append(prompt(self.tokenizer, shown.prompt))
            answers.append([*self.tokenizer.encode(shown.expected), self.tokenizer.end_of_turn])
            advantages.append(plan.imitation)
        return self._rows(rows, answers, advantages)

    def _grade(self, question: Conversation, answer: list[int]) -> str:
        if answer[-1] != self.tokenizer.end_of_turn:
            return "wrong"  # it never stopped
        return grade(question, self.tokenizer.decode(answer[:-1]))

    def _rows(self, prompts: list[list[int]], answers: list[list[int]], advantages: list[float]) -> Batch:
        """One answer a row, padded on the right: few lengths and one number of rows, so that buffers fit again."""
        longest = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True)) - 1
        length = -(-longest // LENGTH_STEP) * LENGTH_STEP
        rows = -(-len(answers) // self.row_multiple) * self.row_multiple
        inputs = torch.full((rows, length), self.tokenizer.end_of_text)
        targets = inputs.clone()
        weights, gains = torch.zeros(rows, length), torch.zeros(rows, length)
        for row, (question, answer, advantage) in enumerate(zip(prompts, answers, advantages, strict=True)):
            ids = torch.tensor(question + answer)
            inputs[row, : len(ids) - 1] = ids[:-1]
            targets[row, : len(ids) - 1] = ids[1:]
            spoken = slice(len(question) - 1, len(ids) - 1)
            weights[row, spoken] = 1.0
            gains[row, spoken] = advantage
        return Batch(inputs, targets, weights, None, gains)
