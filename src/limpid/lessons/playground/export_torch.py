"""The pieces of an exported PyTorch program."""

from __future__ import annotations

from limpid.lessons.playground.settings import Settings

_MODULES = {"relu": "nn.ReLU()", "tanh": "nn.Tanh()", "sigmoid": "nn.Sigmoid()", "linear": "nn.Identity()",
            "gelu": 'nn.GELU(approximate="tanh")'}  # fmt: skip
MAIN = """
def main(epochs):
    net = train(epochs)
    with torch.no_grad():
        for name, rows in (("training", TRAIN), ("test", TEST)):
            if len(rows):
                print(f"{epochs} epochs: {name} loss {loss(net(inputs(rows[:, :2]))[:, 0], rows[:, 2]).item():.6f}")
    for name, value in net.named_parameters():
        print(name, value.tolist())
"""


def net(settings: Settings) -> str:
    """A function that builds the net with its first weights."""
    dropout = bool(settings.dropout and settings.layers)
    sizes = (len(settings.inputs), *settings.layers, 1)
    names = settings.all_activations
    lines = []
    for at, (n, m) in enumerate(zip(sizes[1:], sizes[:-1], strict=True)):
        lines.append(f"nn.Linear({m}, {n})")
        if at == len(sizes) - 2 and (settings.loss == "crossEntropy" or names[at] == "linear"):
            continue
        if names[at] != "linear":
            lines.append(_MODULES[names[at]])
        if dropout and at < len(sizes) - 2:
            lines.append("Dropout(random)")
    listed = "".join(f"        {line},\n" for line in lines)
    own = '''
class Dropout(nn.Module):
    """As nn.Dropout, with random numbers that are the playground's."""

    def __init__(self, random):
        super().__init__()
        self.random = random

    def forward(self, x):
        if not self.training:
            return x
        return x * torch.from_numpy((self.random.random(tuple(x.shape)) >= DROPOUT) / (1 - DROPOUT))

'''
    return f"""{own if dropout else ""}
def make_net():
{"    random = np.random.default_rng(DROPOUT_SEED)" + chr(10) if dropout else ""}    net = nn.Sequential(
{listed}    )
    linear = [module for module in net if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, (weights, biases) in zip(linear, START):
            module.weight.copy_(weights)
            module.bias.copy_(biases)
    return net
"""


def loss(settings: Settings) -> str:
    if settings.loss == "square":
        return "\ndef loss(output, target):\n    return 0.5 * ((output - target) ** 2).mean()\n"
    return (
        "\ndef loss(output, target):\n"
        '    """Cross-entropy; the class +1 has the probability (1 + tanh z) / 2 = sigmoid(2 z)."""\n'
        "    return nn.functional.softplus(-2 * target * output).mean()\n"
    )


def training(settings: Settings) -> str:
    """The loop over epochs and batches."""
    optimizers = {
        "sgd": "torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)",
        "momentum": "torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=0.9)",
        "adam": "torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)",
    }
    kind = settings.regularization
    lines = [
        "",
        "def train(epochs):",
        '    """The net after so many epochs: each all examples once, in their order."""',
        "    net = make_net()",
        f"    optimizer = {optimizers[settings.optimizer]}",
    ]
    if kind != "none":
        lines.append("    matrices = [module.weight for module in net if isinstance(module, nn.Linear)]")
    if kind == "L1":
        lines.append("    dead = [torch.zeros_like(w, dtype=torch.bool) for w in matrices]")
    lines += [
        "    for _ in range(epochs):",
        "        for batch in TRAIN.split(BATCH_SIZE):",
        "            optimizer.zero_grad()",
        "            loss(net(inputs(batch[:, :2]))[:, 0], batch[:, 2]).backward()",
    ]
    if kind == "L1":
        lines += ["            for w, gone in zip(matrices, dead):", "                w.grad[gone] = 0"]
    if kind != "none":
        lines.append("            before = [w.detach().clone() for w in matrices]")
    lines.append("            optimizer.step()")
    if kind == "L2":
        lines += [
            "            with torch.no_grad():",
            "                for w, was in zip(matrices, before):",
            "                    w -= LEARNING_RATE * REGULARIZATION_RATE * was",
        ]
    if kind == "L1":
        lines += [
            "            with torch.no_grad():",
            "                for w, was, gone in zip(matrices, before, dead):",
            "                    pulled = w - LEARNING_RATE * REGULARIZATION_RATE * was.sign()",
            "                    gone |= w * pulled < 0  # crossed zero: it stays there",
            "                    w.copy_(pulled.masked_fill(gone, 0))",
        ]
    lines += ["    return net.eval()"]
    return "\n".join(lines)
