"""Rollouts: what is rewarded is what was drawn, token for token, the end of the turn included."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.conftest import random_llama

from limpid.core.errors import LimpidError
from limpid.data.answer_batch import AnswerBatch
from limpid.data.questions import Question
from limpid.inference.engine import Engine
from limpid.inference.weights import inference_copy
from limpid.parallel.environment import World
from limpid.rollout import given
from limpid.rollout.credit import GroupCredit
from limpid.rollout.guard import Guard
from limpid.rollout.parity import parity
from limpid.rollout.rewards.panel import Answered, Judged
from limpid.rollout.rollouts import Answer, RolloutPlan, Rollouts, normalised
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.algorithms import ALGORITHMS
from limpid.training.objectives.kl import AdaptiveKl
from limpid.training.objectives.policy_gradient import token_logprobs

ALONE = World(0, 1, torch.device("cpu"))
PLAN = RolloutPlan(prompts=2, samples=4, temperature=1.0, max_tokens=6, seed=0)


class Stream:
    def __getitem__(self, index: int) -> Question:
        return Question(({"role": "user", "content": f"q{index}"},), {"expected": "I know"})


class FakePanel:
    """Rewards by the number of an answer in its rollout."""

    def __init__(self, reward: Callable[[int], float]) -> None:
        self.reward, self.names = reward, ["fake"]

    def __call__(self, answers: list[Answered]) -> list[Judged]:
        return [Judged(self.reward(i), {"fake": self.reward(i)}) for i in range(len(answers))]


def rollouts(
    tokenizer: Tokenizer, reward: Callable[[int], float] = lambda i: float(i % 4), algorithm: Any = "limpid",
    shown: int = 0, **changes: Any,
) -> Rollouts:  # fmt: skip
    engine = Engine(inference_copy(random_llama(seed=3), torch.float32))
    kl = AdaptiveKl(0.05)
    mix = given.mixed([given.demonstrations(Stream(), tokenizer, shown, 0.5, 64)]) if shown else given.mixed([])
    credit = GroupCredit(ALGORITHMS[algorithm], kl, None)
    plan = PLAN._replace(**changes)
    panel: Any = FakePanel(reward)
    return Rollouts(Stream(), lambda: engine, tokenizer, panel, credit, plan, kl, ALONE, mix=mix)


def rows(batch: AnswerBatch) -> list[list[int]]:
    """The texts of all rows that are more than padding, in a fixed order."""
    found = []
    for row in range(len(batch.inputs)):
        if batch.counts[row]:
            last = int(batch.lengths[row])
            found.append([int(batch.inputs[row, 0]), *batch.targets[row, :last].tolist()])
    return sorted(found)


def test_a_row_is_the_prompt_and_the_drawn_tokens_and_only_the_answer_is_weighted(tokenizer):
    source = rollouts(tokenizer)
    answers = source.answers(0)
    batch = source[0]
    assert batch.inputs.shape == (8, 16)
    assert rows(batch) == sorted([*a.prompt, *a.drawn.ids] for a in answers)  # never text that was tokenised again
    assert any(tokenizer.encode(a.text) != a.drawn.ids for a in answers)  # which would have been something else
    for row in range(8):
        spoken = batch.weights[row].nonzero().squeeze(1)
        asked = prompt(tokenizer, Stream()[0].messages)
        assert spoken[0] == len(asked) - 1  # the first answer token is predicted from the last token of the prompt
        assert spoken.tolist() == list(range(int(spoken[0]), int(batch.lengths[row])))


def test_the_end_of_the_turn_is_reinforced_where_it_was_drawn(tokenizer, monkeypatch):
    source = rollouts(tokenizer)
    stop = source.answers(0)[5].drawn.ids[2]
    monkeypatch.setattr(type(tokenizer), "chat_stops", frozenset({stop}))  # a token this model does say
    ended = [a for a in source.answers(0) if a.drawn.finished]
    assert ended
    assert all(a.drawn.ids[-1] == stop for a in ended)
    assert all(a.text == tokenizer.decode(a.drawn.ids[:-1]) for a in ended)  # but it is no part of what is judged
    batch = source[0]
    last = batch.lengths - 1
    ends = batch.targets[torch.arange(len(last)), last] == stop
    assert int(ends.sum()) == len(ended)
    assert (batch.weights[torch.arange(len(last)), last] > 0).all()
    assert batch.advantages[torch.arange(len(last)), last][ends].abs().sum() > 0


def test_a_prompt_goes_through_the_chat_template_and_is_read_once_a_group(tokenizer):
    engine = Engine(inference_copy(random_llama(seed=3), torch.float32))
    read: list[int] = []
    forward = engine.forward
    source = rollouts(tokenizer)
    source.engine = lambda: engine

    def counting(cache: Any, pieces: Any) -> Any:
        read.extend(len(p.ids) for p in pieces if len(p.ids) > 1)
        return forward(cache, pieces)

    engine.forward = counting  # type: ignore[assignment]
    answers = source.answers(0)
    assert [a.prompt for a in answers] == [prompt(tokenizer, Stream()[i // 4].messages) for i in range(8)]
    assert answers[0].prompt[-1] == tokenizer.assistant
    assert sum(read) <= 2 * len(answers[0].prompt)  # two prompts; the other six rows took theirs over


def test_groups_that_earned_the_same_are_left_out_where_the_algorithm_says_so(tokenizer):
    def reward(i: int) -> float:
        return [1.0, -1.0, -1.0, 0.0][i] if i < 4 else -1.0

    source = rollouts(tokenizer, reward, algorithm="dapo")
    source.credit = GroupCredit(ALGORITHMS["limpid"]._replace(kl=0.0), AdaptiveKl(0.0), None)
    batch = source[0]
    assert int(batch.counts.sum()) == 4
    gains = sorted(float(batch.advantages[row].sum() / (batch.advantages[row] != 0).sum()) for row in range(4))
    assert gains == pytest.approx([-0.75, -0.75, 0.25, 1.25])
    assert source.measured["reward"] == pytest.approx((1 - 1 - 1 + 0 - 4) / 8)
    assert source.measured["informative_groups"] == 0.5
    assert int(rollouts(tokenizer, reward, algorithm="grpo")[0].counts.sum()) == 8
    held = rollouts(tokenizer, reward)[0]  # where the divergence costs something, one of the others stays to be held
    assert int(held.counts.sum()) == 5
    assert sorted(int((row != 0).any()) for row in held.advantages[:5]) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_constant_rewards_give_advantages_of_zero_and_never_a_nan(tokenizer, algorithm):
    source = rollouts(tokenizer, lambda i: 0.3, algorithm)
    if ALGORITHMS[algorithm].kl_in == "reward":
        source.credit = GroupCredit(ALGORITHMS[algorithm], AdaptiveKl(0.0), lambda batch: batch.logprobs)
    batch = source[0]
    assert int(batch.counts.sum()) == 8
    assert not batch.advantages.any()
    assert batch.total_weight > 0


def test_an_answer_without_a_reward_is_left_out_and_counted(tokenizer):
    source = rollouts(tokenizer, lambda i: math.nan if i in (1, 6) else float(i % 4))
    batch = source[0]
    assert int(batch.counts.sum()) == 6
    assert torch.isfinite(batch.advantages).all()
    assert source.measured["without_reward"] == pytest.approx(2 / 8)
    first = sorted({round(float(a[a != 0].mean()), 4) for a in batch.advantages[:6] if a.any()})
    assert first == pytest.approx(sorted({0 - 5 / 3, 2 - 5 / 3, 3 - 5 / 3, 0 - 4 / 3, 1 - 4 / 3, 3 - 4 / 3}), abs=1e-3)


def test_a_rollout_in_which_no_answer_has_a_reward_is_refused(tokenizer):
    with pytest.raises(LimpidError, match="no answer has a reward"):
        rollouts(tokenizer, lambda i: math.nan)[0]


def test_an_answer_of_one_token_is_an_answer(tokenizer):
    source = rollouts(tokenizer, max_tokens=1)
    batch = source[0]
    assert ((batch.weights > 0).sum(1)[batch.counts > 0] == 1).all()


def test_demonstrations_stand_beside_answers_with_a_mean_of_their_own(tokenizer):
    batch = rollouts(tokenizer, shown=3)[0]
    shown = (~batch.drawn) & (batch.counts > 0)
    assert int(shown.sum()) == 3
    mean = batch.weights.sum(1) / batch.total_weight
    assert float(mean[shown].sum()) == pytest.approx(0.5)  # imitation x a mean over the shown tokens
    assert float(mean[~shown].sum()) == pytest.approx(1.0)
    row = int(shown.nonzero()[0])
    assert batch.targets[row, batch.lengths[row] - 1] == tokenizer.end_of_turn
    assert not batch.advantages[row].any()


@pytest.mark.parametrize(("normalise", "expected"), [("tokens", 1 / 6), ("answers", 0.25), ("constant", 1 / 20)])
def test_normalised_weights_take_the_mean_that_is_asked_for(normalise, expected):
    """Two answers of 2 and 4 tokens; the share that a token of the first has in the loss."""
    weights = torch.zeros(2, 32)
    weights[0, :2] = weights[1, :4] = 1
    nothing = torch.zeros(2, 32)
    batch = AnswerBatch(
        nothing.long(), nothing.long(), weights, torch.ones(2, dtype=torch.bool), nothing, nothing, nothing, nothing,
        nothing, torch.ones(2),
    )  # fmt: skip
    found = normalised(batch, normalise, 10)
    assert float(found.weights[0, 0] / found.total_weight) == pytest.approx(expected)


class Asked:
    """Rewards that differ within the groups of these questions alone."""

    names: tuple[str, ...] = ("fake",)

    def __init__(self, *differing: str) -> None:
        self.differing, self.rounds = differing, list[int]()

    def __call__(self, answers: list[Answered]) -> list[Judged]:
        self.rounds.append(len(answers))
        earned = [i % 2.0 if a.messages[-1]["content"] in self.differing else 1.0 for i, a in enumerate(answers)]
        return [Judged(value, {"fake": value}) for value in earned]


def asked(source: Rollouts, batch: AnswerBatch) -> set[str]:
    """The questions that the rows of ``batch`` answer."""
    prompts = {tuple(prompt(source.tokenizer, Stream()[i].messages)): f"q{i}" for i in range(40)}
    found = {name for ids in rows(batch) for start, name in prompts.items() if tuple(ids[: len(start)]) == start}
    assert all(any(tuple(ids[: len(start)]) == start for start in prompts) for ids in rows(batch))
    return found


def test_other_questions_are_asked_until_enough_have_answers_that_differ(tokenizer):
    def drawing(panel: Any, step: int = 0, **changes: Any) -> tuple[Rollouts, AnswerBatch]:
        source = rollouts(tokenizer, algorithm="dapo", draws=3, **changes)
        source.panel = panel
        source.credit = GroupCredit(ALGORITHMS["dapo"], AdaptiveKl(0.0), None)
        return source, source[step]

    panel = Asked("q1", "q4", "q5")
    source, batch = drawing(
        panel
    )  # q0 q1, q2 q3, q4 q5: the second that differs is in the third draw, the third is too many
    assert panel.rounds == [8, 8, 8]
    assert asked(source, batch) == {"q1", "q4"}
    assert int((batch.counts > 0).sum()) == 8
    assert source.measured["asked"] == 6
    assert source.measured["reward"] == pytest.approx((3 * 0.5 + 3) / 6)  # of all that were asked

    panel = Asked("q0", "q1", "q2")
    assert asked(*drawing(panel)) == {"q0", "q1"}
    assert panel.rounds == [8]  # enough at once

    panel = Asked("q9")
    source, batch = drawing(
        panel, step=1
    )  # the next rollout's own questions: q6 to q11; fewer than wanted, after all draws
    assert panel.rounds == [8, 8, 8]
    assert asked(source, batch) == {"q9"}


def test_what_goes_well_is_held_for_the_first_draw_only(tokenizer):
    source = rollouts(tokenizer, draws=2)
    source.panel = Asked("q2")  # type: ignore[assignment]
    same = GroupCredit(ALGORITHMS["limpid"], AdaptiveKl(0.05), lambda batch: batch.logprobs)
    source.credit = same
    batch = source[0]
    assert asked(source, batch) == {"q0", "q1", "q2"}
    assert int((batch.counts > 0).sum()) == 1 + 1 + 4


def test_a_step_is_a_pure_function_of_seed_and_number(tokenizer):
    first, again = rollouts(tokenizer)[3], rollouts(tokenizer)[3]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert rows(first) != rows(rollouts(tokenizer)[4])
    assert rows(first) != rows(rollouts(tokenizer, seed=1)[3])


def test_several_epochs_pass_over_one_rollout_in_parts_each_answer_once_an_epoch(tokenizer):
    source = rollouts(tokenizer, lambda i: float(i), epochs=2, minibatches=2)
    parts = [rows(source[step]) for step in range(4)]
    everything = sorted([*a.prompt, *a.drawn.ids] for a in rollouts(tokenizer).answers(0))
    assert sorted(parts[0] + parts[1]) == sorted(parts[2] + parts[3]) == everything
    assert parts[0] != parts[2]  # in another order
    assert sorted(rows(source[4]) + rows(source[5])) != everything


def test_what_is_left_of_a_rollout_survives_a_resume(tokenizer):
    source = rollouts(tokenizer, epochs=2, minibatches=2)
    before = [source[step] for step in range(4)]
    other = rollouts(tokenizer, epochs=2, minibatches=2)
    other.load_tensors({name: value.clone() for name, value in source.tensors().items()})
    other.engine = None  # type: ignore[assignment]  # nothing is drawn again
    for step in range(1, 4):
        assert all(torch.equal(a, b) for a, b in zip(before[step], other[step], strict=True))


def test_a_rollout_of_an_earlier_version_is_refused_in_words(tokenizer):
    with pytest.raises(LimpidError, match="saved by an earlier limpid"):
        rollouts(tokenizer).load_tensors({"kl_coefficient": torch.tensor(0.1)})


def test_engine_and_trainer_agree_and_another_temperature_is_refused(tokenizer):
    source = rollouts(tokenizer, temperature=0.8)
    batch = source[0]
    batch = batch.pick(batch.counts.nonzero().squeeze(1))
    model = random_llama(seed=3)
    same = parity(batch, token_logprobs(model, batch, torch.float32, 0.8, 4), torch.float32)
    assert same.mean < 1e-4
    assert same.tokens == int((batch.weights > 0).sum())
    with pytest.raises(LimpidError, match="what would be trained is not what was drawn"):
        parity(batch, token_logprobs(model, batch, torch.float32, 1.0, 4), torch.float32)


def test_the_guard_says_which_bound_was_left():
    guard = Guard("grpo", max_kl=0.5, length_bounds=(2, 20))
    guard.check(3, 0.4, 12.0)
    with pytest.raises(LimpidError, match=r"0.61 nats a token .* past grpo.max_kl = 0.5"):
        guard.check(3, 0.61, 12.0)
    with pytest.raises(LimpidError, match=r"max_kl"):
        guard.check(3, math.nan, 12.0)
    with pytest.raises(LimpidError, match=r"31.0 tokens on average, outside of grpo.length_bounds = \[2, 20\]"):
        guard.check(3, 0.1, 31.0)


def test_the_divergence_in_the_reward_is_k1_times_its_coefficient(tokenizer):
    settings = ALGORITHMS["rloo"]
    source = rollouts(tokenizer, lambda i: float(i % 4), "rloo")
    source.credit = GroupCredit(settings, AdaptiveKl(0.5), lambda batch: batch.logprobs - 0.1 * (batch.weights > 0))
    answers: list[Answer] = source.answers(0)
    batch = source[0]
    cost = [0.5 * 0.1 * len(a.drawn.ids) for a in answers]
    worth = [a.judged.reward - c for a, c in zip(answers, cost, strict=True)]
    expected = {}
    for i, a in enumerate(answers):
        others = [worth[j] for j in range(8) if j // 4 == i // 4 and j != i]
        expected[(*a.prompt, *a.drawn.ids)] = worth[i] - sum(others) / 3
    for row in range(8):
        last = int(batch.lengths[row])
        ids = (int(batch.inputs[row, 0]), *batch.targets[row, :last].tolist())
        assert float(batch.advantages[row, last - 1]) == pytest.approx(expected[ids], abs=1e-5)
