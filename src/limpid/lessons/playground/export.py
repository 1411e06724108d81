"""Programs that train the same net without limpid: for reading, changing and taking along.

Their data and first weights stand in them as numbers, in full precision; after as many epochs their weights are those
of the playground but for the rounding of sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from limpid.lessons.playground import export_numpy as in_numpy
from limpid.lessons.playground import export_torch as in_torch
from limpid.lessons.playground.training import dropout_seed

if TYPE_CHECKING:
    from limpid.lessons.playground.training import Playground

EPOCHS = 100
_FEATURES = {
    "x": "x", "y": "y", "xSquared": "x * x", "ySquared": "y * y", "xTimesY": "x * y", "sinX": "{}.sin(x)",
    "sinY": "{}.sin(y)", "cosX": "{}.cos(x)", "cosY": "{}.cos(y)",
}  # fmt: skip


def numpy_program(playground: Playground) -> str:
    """The program with NumPy alone."""
    settings = playground.settings
    parts = [
        _heading(playground, "import numpy as np"),
        _constants(playground),
        _inputs(playground, "np", "np.stack([{}], axis=1)"),
        in_numpy.activations(settings),
        in_numpy.FORWARD,
        in_numpy.loss(settings),
        in_numpy.gradients(settings),
        in_numpy.training(settings),
        in_numpy.MAIN,
        _data(playground, "np.array"),
        _start(playground, "np.array"),
        'if __name__ == "__main__":\n    main(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS)\n',
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def torch_program(playground: Playground) -> str:
    """The program with PyTorch, in float64."""
    settings = playground.settings
    imports = "import torch\nfrom torch import nn\n\ntorch.set_default_dtype(torch.float64)"
    if settings.dropout and settings.layers:
        imports = "import numpy as np\n" + imports
    parts = [
        _heading(playground, imports),
        _constants(playground),
        _inputs(playground, "torch", "torch.stack([{}], dim=1)"),
        in_torch.net(settings),
        in_torch.loss(settings),
        in_torch.training(settings),
        in_torch.MAIN,
        _data(playground, "torch.tensor"),
        _start(playground, "torch.tensor"),
        'if __name__ == "__main__":\n    main(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS)\n',
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _heading(playground: Playground, imports: str) -> str:
    altered = (
        "# Dials were turned or weights edited while it learned: here the last ones count from epoch 0 on.\n"
        if playground.altered
        else ""
    )
    return (
        "# A neural network of limpid's playground. To train it: python net.py [EPOCHS]\n"
        f"# The same in the playground: #/playground?{playground.address[:2000]}\n{altered}import sys\n\n{imports}"
    )


def _constants(playground: Playground) -> str:
    settings = playground.settings
    lines = [f"EPOCHS = {playground.epoch or EPOCHS}", f"LEARNING_RATE = {settings.learning_rate!r}",
             f"BATCH_SIZE = {settings.batch_size}"]  # fmt: skip
    if settings.regularization != "none":
        lines.append(f"REGULARIZATION_RATE = {settings.regularization_rate!r}  # of {settings.regularization}")
    if settings.dropout and settings.layers:
        lines.append(f"DROPOUT = {settings.dropout!r}")
        lines.append(f"DROPOUT_SEED = {dropout_seed(settings)}")
    return "\n".join(lines)


def _inputs(playground: Playground, library: str, stack: str) -> str:
    columns = ", ".join(_FEATURES[name].format(library) for name in playground.settings.inputs)
    return (
        "\ndef inputs(points):\n"
        '    """What the net is told of points (N, 2)."""\n'
        f"    x, y = points[:, 0], points[:, 1]\n    return {stack.format(columns)}\n"
    )


def _data(playground: Playground, maker: str) -> str:
    data = playground.data
    rows = np.column_stack((data.points, data.labels))
    texts = []
    for name, part in (("TRAIN", rows[: data.train]), ("TEST", rows[data.train :])):
        lines = "".join(f"    [{', '.join(map(repr, row))}],\n" for row in part.tolist())
        texts.append(f"{name} = {maker}([\n{lines}]){'' if len(part) else '.reshape(0, 3)'}")
    return "# x1, x2 and label of each example, in the order in which they are learned from\n" + "\n".join(texts)


def _start(playground: Playground, maker: str) -> str:
    """The first weights and biases, layer by layer."""
    at, lines = 0, []
    for n, m in zip(playground.net.sizes[1:], playground.net.sizes[:-1], strict=True):
        weights = playground.start[at : at + n * m].reshape(n, m).tolist()
        biases = playground.start[at + n * m : at + n * m + n].tolist()
        lines.append(f"    ({maker}({weights}), {maker}({biases})),\n")
        at += n * m + n
    heading = "# the weights (n_out, n_in) and biases (n_out) of each layer, before the first step\n"
    return f"{heading}START = [\n{''.join(lines)}]\n"
