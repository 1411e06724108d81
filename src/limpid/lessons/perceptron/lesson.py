"""The perceptron's lesson as numbers."""

from __future__ import annotations

from typing import Any

from limpid.lessons.perceptron.decision import REASONS, Decision
from limpid.lessons.perceptron.habits import people
from limpid.lessons.perceptron.learning import GradientDescent, PerceptronRule, scaled
from limpid.lessons.perceptron.xor import EPOCHS, nets


def lesson() -> dict[str, Any]:
    """The eight cases, what both rules find in 10,000 people's habits, and three nets on exclusive or.

    decision: reasons, weights, threshold, cases. learned: weights as the threshold is called 8, and the share that is
    right; known_rule: the share that the rule behind the habits gets. xor: loss and share of each net after `EPOCHS`.
    """
    decision, habits = Decision(), people()
    learned = {}
    for name, learner in (("perceptron rule", PerceptronRule()), ("gradient descent", GradientDescent())):
        learner.learn(habits)
        found = scaled(learner.decision())
        learned[name] = {"weights": found.weights if found else None, "right": habits.right(learner.decision())}
    xor = {}
    for name, net in nets().items():
        net.run(EPOCHS)
        xor[name] = {"loss": net.history[-1].train, "right": net.accuracies()[0]}
    return {
        "decision": {"reasons": REASONS, "weights": decision.weights, "threshold": decision.threshold,
                     "cases": [case._asdict() for case in decision.cases()]},
        "people": len(habits.went), "learned": learned, "known_rule": habits.right(decision), "xor": xor,
    }  # fmt: skip
