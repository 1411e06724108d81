"""The pieces of an exported NumPy program."""

from __future__ import annotations

from limpid.lessons.playground.settings import Settings

_ACTIVATIONS = {
    "relu": ("np.maximum(z, 0)", "(z > 0) * 1.0"),
    "tanh": ("np.tanh(z)", "1 - a * a"),
    "sigmoid": ("1 / (1 + np.exp(-z))", "a * (1 - a)"),
    "linear": ("z", "np.ones_like(z)"),
    "gelu": (
        "0.5 * z * (1 + np.tanh(0.7978845608028654 * (z + 0.044715 * z**3)))",
        "(lambda t: 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * z**2))(\n"
        "        np.tanh(0.7978845608028654 * (z + 0.044715 * z**3)))",
    ),
}
FORWARD = '''
def forward(x, layers, masks=None):
    """The sums and the values of every layer: x (N, n_in) -> [(z, a), ...], each (N, n)."""
    found = []
    for k, (weights, biases) in enumerate(layers):
        z = x @ weights.T + biases
        a = ACTIVATIONS[k][0](z)
        found.append((z, a))
        x = a if masks is None or k == len(masks) else a * masks[k]
    return found
'''
MAIN = """
def mean_loss(rows, layers):
    z, a = forward(inputs(rows[:, :2]), layers)[-1]
    return loss(z[:, 0], a[:, 0], rows[:, 2]).mean()


def main(epochs):
    layers = train(epochs)
    print(f"{epochs} epochs: training loss {mean_loss(TRAIN, layers):.6f}", end="")
    print(f", test loss {mean_loss(TEST, layers):.6f}" if len(TEST) else "")
    for k, (weights, biases) in enumerate(layers, 1):
        print(f"layer {k}: weights {weights.tolist()}, biases {biases.tolist()}")
"""


def activations(settings: Settings) -> str:
    """The functions that this net uses, and which layer uses which."""
    parts = []
    for name in dict.fromkeys(settings.all_activations):
        of, slope = _ACTIVATIONS[name]
        parts.append(f"\ndef {name}(z):\n    return {of}\n\n\ndef {name}_slope(z, a):\n    return {slope}\n")
    pairs = ", ".join(f"({name}, {name}_slope)" for name in settings.all_activations)
    return "\n".join(parts) + f"\n\nACTIVATIONS = [{pairs}]  # of each layer, the output's last"


def loss(settings: Settings) -> str:
    if settings.loss == "square":
        return (
            '\ndef loss(z, a, target):\n    """Half the square of the error, each example\'s."""\n'
            "    return 0.5 * (a - target) ** 2\n\n\ndef loss_slope(z, a, target):\n"
            '    """Its derivative by z."""\n    return (a - target) * ACTIVATIONS[-1][1](z, a)\n'
        )
    return (
        '\ndef loss(z, a, target):\n    """-ln of the probability of the right class; +1 has (1 + tanh z) / 2."""\n'
        "    return np.logaddexp(0, -2 * target * z)\n\n\ndef loss_slope(z, a, target):\n"
        '    """Its derivative by z."""\n    return a - target\n'
    )


def gradients(settings: Settings) -> str:
    """Back-propagation."""
    dropout = bool(settings.dropout and settings.layers)
    arguments = "x, target, layers, masks" if dropout else "x, target, layers"
    mask_below = " * masks[k - 1]" if dropout else ""
    return f'''
def gradients({arguments}):
    """The derivatives of the mean loss by every weight and bias: one pass back through the layers."""
    found = forward(x, layers{", masks" if dropout else ""})
    z, a = found[-1]
    slope = loss_slope(z, a, target[:, None]) / len(target)  # (N, 1)
    result = []
    for k in range(len(layers) - 1, -1, -1):
        below = found[k - 1][1]{mask_below} if k else x
        result.insert(0, (slope.T @ below, slope.sum(0)))
        if k:
            slope = slope @ layers[k][0]{mask_below} * ACTIVATIONS[k - 1][1](*found[k - 1])
    return result
'''


def training(settings: Settings) -> str:
    """The loop over epochs and batches."""
    dropout = bool(settings.dropout and settings.layers)
    lines = [
        "",
        "def train(epochs):",
        '    """The layers after so many epochs: each all examples once, in their order."""',
        "    layers = [(weights.copy(), biases.copy()) for weights, biases in START]",
        *_before(settings),
        *(["    random = np.random.default_rng(DROPOUT_SEED)"] if dropout else []),
        "    for _ in range(epochs):",
        "        for at in range(0, len(TRAIN), BATCH_SIZE):",
        "            batch = TRAIN[at : at + BATCH_SIZE]",
        *(
            ["            masks = [(random.random((len(batch), len(b))) >= DROPOUT) / (1 - DROPOUT)"
             " for _, b in layers[:-1]]"] if dropout else []
        ),
        f"            slopes = gradients(inputs(batch[:, :2]), batch[:, 2], layers{', masks' if dropout else ''})",
        *(["            count += 1"] if settings.optimizer == "adam" else []),
        "            for k in range(len(layers)):",
        "                new = []",
        "                for i, (p, g) in enumerate(zip(layers[k], slopes[k])):  # weights, then biases",
        *(f"                    {line}" for line in _update(settings)),
        "                layers[k] = tuple(new)",
        "    return layers",
    ]  # fmt: skip
    return "\n".join(lines)


def _before(settings: Settings) -> list[str]:
    zeros = "[[np.zeros_like(p) for p in layer] for layer in layers]"
    lines = []
    if settings.optimizer == "momentum":
        lines.append(f"    velocity = {zeros}")
    if settings.optimizer == "adam":
        lines += [f"    mean = {zeros}", f"    square = {zeros}", "    count = 0"]
    if settings.regularization == "L1":
        lines.append("    dead = [np.zeros(weights.shape, dtype=bool) for weights, _ in layers]")
    return lines


def _update(settings: Settings) -> list[str]:
    lines = ["if i == 0:", "    g = np.where(dead[k], 0, g)"] if settings.regularization == "L1" else []
    if settings.optimizer == "sgd":
        lines.append("q = p - LEARNING_RATE * g")
    elif settings.optimizer == "momentum":
        lines += ["velocity[k][i] = 0.9 * velocity[k][i] + g", "q = p - LEARNING_RATE * velocity[k][i]"]
    else:
        lines += [
            "mean[k][i] = 0.9 * mean[k][i] + (1 - 0.9) * g",
            "square[k][i] = 0.999 * square[k][i] + (1 - 0.999) * g * g",
            "upright = mean[k][i] / (1 - 0.9**count)",
            "q = p - LEARNING_RATE * upright / (np.sqrt(square[k][i] / (1 - 0.999**count)) + 1e-8)",
        ]
    if settings.regularization == "L2":
        lines += ["if i == 0:", "    q = q - LEARNING_RATE * REGULARIZATION_RATE * p"]
    if settings.regularization == "L1":
        lines += [
            "if i == 0:",
            "    pulled = q - LEARNING_RATE * REGULARIZATION_RATE * np.sign(p)",
            "    dead[k] |= q * pulled < 0  # crossed zero: it stays there",
            "    q = np.where(dead[k], 0, pulled)",
        ]
    return [*lines, "new.append(q)"]
