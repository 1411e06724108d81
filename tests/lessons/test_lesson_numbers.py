"""Every number that a lesson prints, against an outside truth: a textbook's value, torch, SciPy, a published table."""

from __future__ import annotations

import gzip
import lzma
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Perceptron

from limpid.lessons.book import find
from limpid.lessons.playground import Playground
from limpid.lessons.running import Outcome

Numbers = Callable[[str, int], list[float]]


def near(values: object, digits: int = 2) -> object:
    """Numbers as a lesson rounds them."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return pytest.approx(flat.tolist(), abs=0.51 * 10**-digits)


def test_softmax(numbers: Numbers) -> None:
    assert numbers("softmax", 1) == [0.66, 0.24, 0.10, 1.0]  # the textbook's
    scores = torch.tensor([2.0, 1.0, 0.1])
    rows = [[t, *torch.softmax(scores / t, 0).tolist()] for t in (0.5, 1.0, 2.0)]
    assert numbers("softmax", 2) == near(rows)
    bits = torch.distributions.Categorical(logits=scores).entropy().item() / np.log(2)
    assert numbers("softmax", 3) == near([1, bits, 3, np.log2(3)])


def test_layer_norm(numbers: Numbers) -> None:
    assert numbers("layer-norm", 1) == [2.5, 1.25, -1.34, -0.45, 0.45, 1.34]
    on_paper = [-1.51, -0.175, 1.175, 2.51]  # the article's -0.18 and 1.18, not yet rounded again
    assert numbers("layer-norm", 2) == [-1.51, -0.17, 1.17, 2.51, *on_paper]
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    layer = F.layer_norm(x, (4,), torch.full((4,), 1.5), torch.full((4,), 0.5))
    assert numbers("layer-norm", 3) == near([*layer, *F.rms_norm(x, (4,))])


def test_attention(numbers: Numbers) -> None:
    # Karim 2019, "Illustrated: Self-Attention": its keys, queries and values, by hand.
    q, k = [[1, 0, 2], [2, 2, 2], [2, 1, 3]], [[0, 1, 1], [4, 4, 0], [2, 3, 1]]
    v = [[1, 2, 3], [2, 8, 0], [2, 6, 3]]
    assert numbers("attention", 1) == near([q, k, v])
    scores = torch.tensor(q).float() @ torch.tensor(k).float().T / 3**0.5
    assert numbers("attention", 2) == near(scores)
    mixed = F.scaled_dot_product_attention(*(torch.tensor(one).float()[None] for one in (q, k, v)))[0]
    assert numbers("attention", 3) == near(mixed)
    assert numbers("attention", 4) == []  # but the same: True


def test_scaling(numbers: Numbers) -> None:
    marks = torch.tensor([90.0, 80, 70, 60, 50], dtype=torch.float64)
    assert numbers("scaling", 1) == [1, 0.75, 0.5, 0.25, 0]  # the textbook's
    out = torch.cat([marks, torch.tensor([1000.0])])
    low, middle, high = torch.quantile(out, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    rows = [(out - 50) / 950, (out - out.mean()) / out.std(unbiased=False), (out - middle) / (high - low)]
    assert numbers("scaling", 2) == near(torch.stack(rows))
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, 200), rng.uniform(0, 1000, 200) / 1000
    x, w = torch.tensor(np.stack([a, b], 1)), torch.zeros(2, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.SGD([w], lr=0.5)
    for _ in range(50):
        descent.zero_grad()
        (0.5 * (x @ w - torch.tensor(2 * a + 3 * b)) ** 2).mean().backward()
        descent.step()
    assert numbers("scaling", 3) == near(w.detach())


def test_positions(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    # Vaswani et al. 2017, section 3.5, number by number.
    places = [[f(pos / 10_000 ** (2 * i / 32)) for i in (0, 1) for f in (math.sin, math.cos)] for pos in range(3)]
    assert numbers("positions", 2) == near([50, 32, *np.reshape(places, -1)], 4)
    said = [one.output for one in outcomes("positions")]
    assert said[0] == "same tokens: True\nsame result: True\n"
    assert said[2] == "same result: False\n"
    assert said[3] == "at every place: True\nfar beyond: True\n"
    assert said[4] == "the same: True\n"


def test_heads(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    assert numbers("heads", 1) == [2, 5, 4, 2, 5, 5, 2, 5, 4, 5, 8, 5, 8]
    assert numbers("heads", 2) == [1.0]
    assert outcomes("heads")[2].output == "the same: True\n"
    base, gpt3 = torch.nn.MultiheadAttention(512, 8, bias=False), 4 * 12_288**2
    assert numbers("heads", 4) == [2017, 8, 64, sum(p.numel() for p in base.parameters()), 96, 128, gpt3]


def test_masks(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    assert numbers("masks", 1) == [0] * 4
    assert numbers("masks", 2) == [1, 0, 0, 0, 0, 0.0]
    assert numbers("masks", 3) == [5, 4]
    assert outcomes("masks")[3].output == "decoder the same: True\npadding the same: True\n"
    rng = np.random.default_rng(3)
    s, t = torch.tensor(rng.normal(size=(4, 8))), torch.tensor(rng.normal(size=(5, 8)))
    seen = torch.tensor([True, True, True, False])
    eyes = [torch.eye(n, dtype=torch.float64)[None] for n in (4, 5)]  # as values, so that the weights come out
    wanted = [
        F.scaled_dot_product_attention(s[None], s[None], eyes[0], seen.expand(4, 4)),
        F.scaled_dot_product_attention(t[None], t[None], eyes[1], is_causal=True),
        F.scaled_dot_product_attention(t[None], s[None], eyes[0], seen.expand(5, 4)),
    ]
    drawn = [one.pictures[-1].rows for one in outcomes("masks")[:3]]
    for found, matrix in zip(drawn, wanted, strict=True):
        np.testing.assert_allclose(found, matrix[0], atol=1e-12)


def test_feed_forward(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    rng = np.random.default_rng(0)
    inner, _ = rng.normal(size=(2048, 512)), rng.normal(size=(512, 2048))
    zero = (torch.tensor(inner) @ torch.tensor(rng.normal(size=512)) <= 0).double().mean()
    assert numbers("feed-forward", 1) == near([512, 2048, 512, 0, round(100 * zero.item())])
    assert outcomes("feed-forward")[1].output == "the same: True\none matrix: (512, 512)\n"
    base = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.Linear(2048, 512))
    attention = torch.nn.MultiheadAttention(512, 8)
    count = [sum(p.numel() for p in one.parameters()) for one in (base, attention)]
    gpt3 = [2 * 12_288 * 49_152 + 49_152 + 12_288, 4 * (12_288**2 + 12_288)]
    assert numbers("feed-forward", 3) == [2017, *count, 66.7, *gpt3, 66.7]
    assert outcomes("feed-forward")[3].output.startswith("the same: True\n")
    assert numbers("feed-forward", 4) == [count[0]]


def test_residual(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    rng = np.random.default_rng(0)
    layers = [torch.tensor(rng.normal(size=(64, 64)) / 8) for _ in range(60)]
    x = torch.tensor(rng.normal(size=64))
    ends, sizes = [], []
    for keep, share in ((0, 1), (1, 0.1)):
        state = x.clone().requires_grad_()
        y = state
        for layer in layers:
            y = keep * y + share * torch.tanh(layer @ y)
        ends.append(F.cosine_similarity(x, y, 0).item())
        (slopes,) = torch.autograd.grad(y.sum() / 8, state)
        sizes.append(slopes.norm().item())
    assert numbers("residual", 1) == near(ends)
    assert numbers("residual", 2) == near(sizes)
    assert outcomes("residual")[2].output == "identity: True\n"


def test_block(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    """The module that it equals is held to transformers' GPT-2 by tests/models; its parameters are counted by torch."""
    d, f = 16, 64
    shapes = [d, d, 3 * d, d, 3 * d, d, d, d, d, d, f, d, f, d, f, d]
    assert numbers("block", 1) == shapes
    assert numbers("block", 2) == [5, 16, 5, 16]
    assert outcomes("block")[2].output == "the same: True\n"
    theirs = torch.nn.TransformerEncoderLayer(d, 2, f)  # two norms, attention and a feed-forward layer, with biases
    assert numbers("block", 4) == [sum(p.numel() for p in theirs.parameters())]
    assert outcomes("block")[3].output.startswith("first four the same: True\n")


def test_tokens(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    assert numbers("tokens", 1) == [16, *b"machine"]
    assert outcomes("tokens")[1].output == "I / love / machine / <unk>\n"
    pieces = "I / love / machine / learn / ing"  # the article's
    assert [line.split(":")[1].strip() for line in outcomes("tokens")[2].output.splitlines()] == [pieces, pieces]
    # By hand: "in" stands in machine(s) x4, doing, singing x2, reading, playing; "ing" in five of these.
    assert numbers("tokens", 4) == [9, 8, 7, 7, 7, 5, 4, 4]
    said = outcomes("tokens")[4].output.splitlines()
    assert said[0] == "6 characters, 18 bytes"
    assert said[1] == "BPE that read English: 18 tokens"
    assert said[2].endswith("机器 / 学习")


def test_embeddings(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    assert numbers("embeddings", 1) == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert outcomes("embeddings")[1].output.startswith("one product with the table: the row True")
    assert numbers("embeddings", 2) == [10_000 * 300] * 2
    assert numbers("embeddings", 3) == [27, 10]
    # The same vectors by torch's decomposition of a table counted otherwise: cosines do not depend on its signs.
    code = find("embeddings").steps[2].code
    text = code.split('"""')[1]
    common = set(code.split("common = {")[1].split("}")[0].replace('"', "").split(", "))
    groups = [[w for w in s.split() if w not in common] for s in text.replace("\n", " ").split(".")]
    table = CountVectorizer(analyzer=lambda group: group).fit(groups)
    seen = table.transform(groups).toarray().astype(float)
    together = seen.T @ seen
    np.fill_diagonal(together, (seen * (seen - 1)).sum(0) * 0)
    shares = torch.tensor(together / together.sum())
    surprise = torch.log((shares / torch.outer(shares.sum(1), shares.sum(0))).clamp(min=1e-12)).clamp(min=0)
    u, strength, _ = torch.linalg.svd(surprise)
    vectors = F.normalize(u[:, :10] * strength[:10].sqrt(), dim=1)
    place = table.vocabulary_
    pairs = [("cat", "dog"), ("cat", "car"), ("king", "queen")]
    assert numbers("embeddings", 4) == near([vectors[place[a]] @ vectors[place[b]] for a, b in pairs])
    assert outcomes("embeddings")[4].output == "king - man + woman = queen\n"


def test_cross_entropy(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    scores = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
    loss = F.cross_entropy(scores, torch.tensor(0))
    loss.backward()
    p = torch.softmax(scores.detach(), 0)
    assert numbers("cross-entropy", 1) == near([*p, loss.item(), loss.item() / math.log(2)], 3)
    assert scores.grad is not None
    assert numbers("cross-entropy", 2) == near([*scores.grad, *scores.grad], 3)
    # 18 words make 17 pairs. After "the" stand cat and mat twice, dog and sofa once; all other words go on in one way.
    loss = -(4 * math.log(1 / 3) + 2 * math.log(1 / 6)) / 17
    assert numbers("cross-entropy", 3)[:4] == [0.33, 0.17, 0.33, 0.17]
    assert numbers("cross-entropy", 3)[4:] == near([math.log(7), 7, loss, math.exp(loss)])
    assert numbers("cross-entropy", 4) == near([400, 0.471, loss], 2)


def test_autograd(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    # Karpathy, micrograd (2020): the neuron of its demonstration.
    y, w1, w2, b, x1, x2 = 0.7071, 1.0, 0.0, 0.5, -1.5, 0.5
    said = [float(line.split()[-1]) for line in outcomes("autograd")[1].output.splitlines()]
    assert said == [y, w1, w2, b, x1, x2]
    a, b_, c = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, -1.3, 2.1))
    d = (a * b_ + c).tanh() + (a**2 + 1).log() * c.exp()
    ((d / (c**2 + 0.5) + (a - b_).relu()) ** 2).backward()
    slopes = [v.grad.item() for v in (a, b_, c) if v.grad is not None]
    assert numbers("autograd", 3) == near(slopes * 2, 6)
    table = [[-1, -1, -1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]  # exclusive or, and each answer twice: wanted, given
    assert numbers("autograd", 4) == near([[*row, row[2]] for row in table])


def test_next_token(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    """The truth is the text: 60, 30 and 10 of a hundred cats, 97 of a hundred republics."""
    # An embedding of 18 tokens and 8 places (tied with the head), two blocks, a last norm, all 32 wide.
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64)
    count = 18 * 32 + 8 * 32 + 2 * sum(p.numel() for p in layer.parameters()) + 2 * 32
    assert numbers("next-token", 1) == [18, count]
    first, last = numbers("next-token", 2)
    assert first == pytest.approx(math.log(18), abs=0.3)  # it knows nothing
    # The least that is possible: one choice of three, one of two, and the first word's is not asked; per token.
    cats = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    people = -(0.97 * math.log(0.97) + 0.03 * math.log(0.03))
    least = (100 * cats + 100 * people) / (100 * 6 + 100 * 7)
    assert least - 0.005 <= last <= least + 0.02
    assert numbers("next-token", 3) == pytest.approx([60, 30, 10, 97, 3], abs=2)
    said = outcomes("next-token")[2].output
    assert "mat 60%" in said or "mat 59%" in said or "mat 61%" in said
    assert "共 9" in said
    written = outcomes("next-token")[3].output.splitlines()
    assert [len(line.split()) for line in written] == list(range(4, 4 + len(written)))
    assert written[-1] in {f"the cat sat on the {place} ." for place in ("mat", "sofa", "roof")}


def test_bandit(numbers: Numbers) -> None:
    assert numbers("bandit", 1) == [0.2, 0.5, 0.2, 0.1]  # the text's own shares
    theta = torch.tensor([0.2, 0.5, 0.2, 0.1], dtype=torch.float64).log().requires_grad_()
    climb = torch.optim.SGD([theta], lr=0.5, maximize=True)
    for _ in range(12):
        climb.zero_grad()
        (torch.log_softmax(theta, 0) @ torch.tensor([0.8, 0.2, 0, 0], dtype=torch.float64)).backward()
        climb.step()
    tuned = torch.softmax(theta.detach(), 0)
    assert numbers("bandit", 2) == near(tuned)
    reward = torch.tensor([1, 0.3, -0.5, -1], dtype=torch.float64)
    climb = torch.optim.SGD([theta], lr=1.0, maximize=True)
    for _ in range(60):
        climb.zero_grad()
        (torch.softmax(theta, 0) @ reward).backward()
        climb.step()
    after = torch.softmax(theta.detach(), 0)
    pretrained = torch.tensor([0.2, 0.5, 0.2, 0.1], dtype=torch.float64)
    assert numbers("bandit", 3) == near([*after, *(p @ reward for p in (pretrained, tuned, after))])
    exact = tuned * (reward - tuned @ reward)
    steps = torch.eye(4, dtype=torch.float64) - tuned  # row x: the gradient of ln p(x)
    more = reward + 10
    said = numbers("bandit", 4)
    assert said[:4] == near(exact)
    assert said[4:8] == pytest.approx(exact.tolist(), abs=0.02)  # of 20,000 samples
    for found, factor in zip(said[8::2][:1] + said[-1:], (more, more - tuned @ more), strict=True):
        each = steps * factor[:, None]
        variance = (tuned @ each**2 - (tuned @ each) ** 2).sum().item()  # the exact one
        assert found == pytest.approx(variance, rel=0.05, abs=0.06)
    best = tuned * torch.exp(reward / 0.5)
    assert numbers("bandit", 5) == near([*(best / best.sum()), *(best / best.sum())], 3)


def test_two_files(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    # Touvron et al. 2023: Llama-2-70b has 68,976,648,192 parameters, as its published files add up to.
    assert numbers("two-files", 1) == [2, 68_976_648_192, 138, 10, 72]
    d, f, c, v = 32, 64, 8, 22
    layer = (4 + 2 * 2) * c * d + 4 * c * d + 3 * d * f + 2 * d + 2 * c
    total = 2 * layer + 2 * v * d + d
    assert numbers("two-files", 2) == [total]
    assert "model.safetensors\nrun.py\n" in outcomes("two-files")[1].output
    assert numbers("two-files", 3) == [8, 32, 32, 8, 64, 32, 19, 4 * total]
    assert outcomes("two-files")[3].output == "imports torch: False\nlogits (20, 22) the same as torch's: True\n"


def test_compressor(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    expected = [0.5, 1, 0.97, -math.log2(0.97), 1 / 256, 8]
    assert numbers("compressor", 1) == near(expected, 3)
    code = find("compressor").steps[2].code
    text = code.split('text = "')[1].split('"')[0]
    data = (f"{text} " * 6).encode()
    size, surprises, packed = numbers("compressor", 3)
    assert size == len(data)
    assert surprises <= packed <= surprises + 2  # Witten et al. 1987: within two bits of the entropy, and whole bytes
    bits = 0.0  # the same counts by another way: every context looked for in what was read
    for at, byte in enumerate(data):
        share, total = 1.0, 256.0
        for n in range(4):
            context, seen = data[max(0, at - n) : at] if at >= n else None, data[:at]
            if context is None:
                continue
            follows = [seen[i + n] for i in range(len(seen) - n) if seen[i : i + n] == context]
            share += 40**n * follows.count(byte)
            total += 40**n * len(follows)
        bits -= math.log2(share / total)
    assert surprises == pytest.approx(bits / 8, rel=0.02)
    assert "comes back: True" in outcomes("compressor")[2].output
    sizes = [len(data), len(gzip.compress(data, 9, mtime=0)), len(lzma.compress(data, preset=9)), int(packed)]
    wanted = [x for one in sizes for x in (one, round(8 * one / len(data), 2))]
    said = numbers("compressor", 4)
    assert [n for n in said if n not in (-9, 9)] == near(wanted)


def test_transformer(numbers: Numbers) -> None:
    d, f = 512, 2048
    attention, feed_forward, norm = 4 * (d * d + d), 2 * d * f + f + d, 2 * d
    encoder, decoder = 6 * (attention + feed_forward + 2 * norm), 6 * (2 * attention + feed_forward + 3 * norm)
    theirs = torch.nn.Transformer(d, 8, 6, 6, f, batch_first=True, device="meta")
    assert sum(p.numel() for p in theirs.parameters()) == encoder + decoder + 2 * norm  # torch's has two norms more
    table = 37_000 * d
    assert numbers("transformer", 1) == [table, 6, encoder, 6, decoder, table + encoder + decoder]
    blocks = [1, 1, 7, 32, 2, 1, 7, 32, 1, 1, 4, 32, 2, 1, 4, 32]
    assert numbers("transformer", 2) == [*blocks, 1, 7, 32, 1, 4, 100]
    assert numbers("transformer", 3) == [4, 4, 1, 4]
    # openai-gpt on the hub: 116,534,784 parameters in its published file.
    assert numbers("transformer", 4) == [12, 116_534_784]


def test_perceptron(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    sums = [16, 12, 12, 8, 8, 4, 4, 0]  # the article's
    cases = [line.split("]")[1].split() for line in outcomes("perceptron")[0].output.splitlines()[1:]]
    assert [int(total) for total, _ in cases] == sums
    assert [what for _, what in cases] == ["go"] * 3 + ["stay"] * 5
    rng = np.random.default_rng(0)  # the people again, as the lesson's page describes them
    reasons = np.column_stack((rng.random((10_000, 2)), rng.integers(0, 2, 10_000)))
    went = reasons @ [8, 4, 4] + rng.normal(0, 1, 10_000) > 8
    assert numbers("perceptron", 2) == near([10_000, round(100 * went.mean())])
    rosenblatt = Perceptron(max_iter=1, tol=None, shuffle=False, eta0=0.1).fit(reasons, went)
    learned = -rosenblatt.coef_[0] * 8 / rosenblatt.intercept_[0]
    right = 100 * rosenblatt.score(reasons, went)
    assert numbers("perceptron", 3) == near([*learned, right], 1)
    logistic = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(reasons, went)
    by_rule = 100 * ((reasons @ [8, 4, 4] > 8) == went).mean()
    wanted = [*(-logistic.coef_[0] * 8 / logistic.intercept_[0]), 100 * logistic.score(reasons, went), by_rule]
    assert numbers("perceptron", 4) == pytest.approx(wanted, abs=0.16)
    assert numbers("perceptron", 5) == [3, 4]  # Minsky and Papert 1969


def learned(epochs: int = 200, **settings: Any) -> tuple[float, float, float]:
    """Percent right in training and test, and the test loss, of a playground's net that is trained here instead."""
    start = Playground(**settings)
    dials = start.settings
    weights, biases = [w.copy() for w in start.net.weights], [b.copy() for b in start.net.biases]
    bend = np.tanh if dials.activation == "tanh" else np.array
    entropy = dials.loss == "crossEntropy"
    pull = dials.regularization_rate if dials.regularization == "L2" else 0.0
    count, labels = start.data.train, np.asarray(start.data.labels)

    def forward(x: Any) -> list[Any]:
        values = [x]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            values.append(bend(values[-1] @ w.T + b))
        return [*values, np.tanh(values[-1] @ weights[-1].T + biases[-1])]

    for _ in range(epochs):
        for at in range(0, count, dials.batch_size):
            end = min(count, at + dials.batch_size)
            values = forward(start.inputs[at:end])
            delta = values[-1] - labels[at:end, None]
            if not entropy:
                delta = delta * (1 - values[-1] ** 2)
            for i in reversed(range(len(weights))):
                rate, before = dials.learning_rate / (end - at), values[i]
                back = delta @ weights[i]
                weights[i] -= rate * delta.T @ before + dials.learning_rate * pull * weights[i]
                biases[i] -= rate * delta.sum(0)
                delta = back * (1 - before**2) if bend is np.tanh else back
    said = forward(start.inputs)[-1][:, 0]
    right = 100 * ((said >= 0) == (labels > 0))
    each = -np.log((1 + labels * said) / 2) if entropy else (said - labels) ** 2 / 2
    return right[:count].mean(), right[count:].mean(), each[count:].mean()


def test_playground(numbers: Numbers, outcomes: Callable[[str], list[Outcome]]) -> None:
    """The data and the first weights are the playground's, which its own tests judge; the learning is done anew."""
    circle = [{"layers": ()}, {"layers": (), "inputs": ("xSquared", "ySquared"), "loss": "crossEntropy"}]
    deep = [{"layers": (4, 2), "activation": name} for name in ("tanh", "linear")]
    noisy = {"dataset": "gauss", "noise": 50, "train_percent": 10, "layers": (8, 8), "learning_rate": 0.1}
    pulled = {"regularization": "L2", "regularization_rate": 0.03}
    for step, nets in enumerate([circle, deep, [noisy | {"batch_size": 5}, noisy | {"batch_size": 5} | pulled]], 1):
        said = np.reshape(numbers("playground", step), (2, 3))
        for found, net in zip(said, nets, strict=True):
            *right, loss = learned(**net)
            assert found[:2] == pytest.approx(right, abs=0.51)
            assert found[2] == pytest.approx(loss, abs=6e-4)
    assert outcomes("playground")[3].output == "#/playground?seed=0.5\n"
