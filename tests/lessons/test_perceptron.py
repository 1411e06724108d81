"""The cinema decision, what is learned from habits, and what one neuron cannot do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from limpid.core.errors import LimpidError
from limpid.lessons.perceptron import Decision, GradientDescent, PerceptronRule, people
from limpid.lessons.perceptron.learning import scaled
from limpid.lessons.perceptron.lesson import lesson


def test_the_eight_cases() -> None:
    cases = Decision().cases()
    assert [(case.reasons, case.total) for case in cases] == [
        ((1, 1, 1), 16), ((1, 1, 0), 12), ((1, 0, 1), 12), ((1, 0, 0), 8),
        ((0, 1, 1), 8), ((0, 1, 0), 4), ((0, 0, 1), 4), ((0, 0, 0), 0),
    ]  # fmt: skip
    assert [case.go for case in cases] == [True, True, True, False, False, False, False, False]  # more than 8, not 8
    assert Decision(threshold=7.5).go((1, 0, 0))


def test_habits_are_those_of_the_rule_and_its_noise() -> None:
    habits = people(seed=3, noise=1.0)
    assert habits.reasons.shape == (10_000, 3)
    np.testing.assert_allclose(habits.reasons.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(habits.reasons[:, :2].var(0), 1 / 12, atol=0.003)
    assert set(np.unique(habits.reasons[:, 2])) == {0, 1}
    sums = habits.reasons @ [8, 4, 4] - 8
    for low in np.arange(-2.0, 2.0, 0.5):
        here = (sums >= low) & (sums < low + 0.5)
        expected = 0.5 * (1 + math.erf((low + 0.25) / math.sqrt(2)))  # the normal distribution, in the middle
        assert abs((habits.went[here] > 0).mean() - expected) < 0.06
    assert people(noise=0).right(Decision()) == 1.0
    assert (people(seed=3).went == people(seed=3).went).all()
    with pytest.raises(LimpidError, match="noise is from 0 to 8"):
        people(noise=9)


def test_the_rule_separates_what_a_line_separates() -> None:
    habits = people(400, noise=0)
    clear = np.abs(habits.reasons @ [8, 4, 4] - 8) > 0.5
    habits = habits._replace(reasons=habits.reasons[clear], went=habits.went[clear])
    rule = PerceptronRule()
    for _ in range(300):
        before = rule.decision()
        rule.learn(habits)
        if rule.decision() == before:
            break
    assert rule.decision() == before
    assert habits.right(rule.decision()) == 1.0


def test_one_step_of_each_by_hand() -> None:
    someone = people(1)._replace(reasons=np.array([[0.5, 0.25, 1.0]]), went=np.array([1.0]))
    rule = PerceptronRule(rate=0.1)
    rule.learn(someone)
    assert rule.decision().weights == pytest.approx((0.05, 0.025, 0.1))
    assert rule.decision().threshold == pytest.approx(-0.1)
    rule.learn(someone)
    assert rule.decision().weights == pytest.approx((0.05, 0.025, 0.1))  # it is right now, and stays
    descent = GradientDescent(rate=2.0)
    descent.learn(someone)
    assert descent.decision().weights == pytest.approx((0.5, 0.25, 1.0))  # 2 (1 - sigmoid(0)) x
    assert descent.decision().threshold == pytest.approx(-1.0)


def test_gradient_descent_finds_what_scikit_learn_finds() -> None:
    habits = people()
    descent = GradientDescent(rate=0.5, batch=100)
    for _ in range(60):
        descent.learn(habits)
    found = scaled(descent.decision())
    judge = LogisticRegression(C=1e6).fit(habits.reasons, habits.went)
    expected = judge.coef_[0] * 8 / -judge.intercept_[0]
    assert found is not None
    np.testing.assert_allclose(found.weights, expected, rtol=0.05)
    np.testing.assert_allclose(found.weights, (8, 4, 4), atol=0.35)
    assert scaled(Decision(threshold=-1)) is None


def test_the_lessons_numbers() -> None:
    told = lesson()
    assert told["people"] == 10_000
    assert 0.88 < told["known_rule"] < 0.93
    assert told["learned"]["gradient descent"]["right"] > told["known_rule"] - 0.02
    assert told["learned"]["perceptron rule"]["right"] > 0.75
    xor = told["xor"]
    assert xor["bent"]["right"] == 1.0
    assert xor["bent"]["loss"] < 0.01
    for name in ("line", "linear"):
        assert xor[name]["right"] < 0.7
        assert xor[name]["loss"] > 0.4


def test_the_playgrounds_lesson() -> None:
    from limpid.lessons.playground.lesson import lesson as playground_lesson

    nets = playground_lesson()["nets"]
    assert nets["one neuron on the circle"]["test_right"] < 0.7
    assert nets["4 and 2 neurons, linear"]["test_right"] < 0.7
    assert nets["4 and 2 neurons, tanh"]["test_right"] > 0.95
    assert nets["one neuron that is told the squares"]["test_right"] > 0.95
    by_heart, pulled = nets["noise learned by heart"], nets["the same, pulled by L2"]
    assert by_heart["test_loss"] > 2 * by_heart["training_loss"]
    assert pulled["test_loss"] < by_heart["test_loss"]
