"""A small neural network on points of the plane, to be watched while it learns.

from limpid.lessons.playground import Playground

p = Playground(dataset="spiral", inputs=("x", "y", "sinX", "sinY"), layers=(8, 8))
p.run(100)  # 100 epochs
p           # in a notebook: the net, its output map, the loss
"""

from limpid.lessons.playground.settings import Settings
from limpid.lessons.playground.training import Playground

__all__ = ["Playground", "Settings"]
