"""One neuron that decides whether to go to the cinema, and how it can learn to.

from limpid.lessons.perceptron import Decision, GradientDescent, PerceptronRule, people

Decision().cases()  # weather 8, price 4, companion 4, threshold 8: all eight
rule = PerceptronRule()
rule.learn(people())  # once through 10,000 people's habits
rule.decision().weights  # about (8, 4, 4), as its threshold is called 8
"""

from limpid.lessons.perceptron.decision import Case, Decision
from limpid.lessons.perceptron.habits import People, people
from limpid.lessons.perceptron.learning import GradientDescent, PerceptronRule

__all__ = ["Case", "Decision", "GradientDescent", "People", "PerceptronRule", "people"]
