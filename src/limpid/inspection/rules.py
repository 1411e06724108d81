"""The rules by which a model makes a number of other numbers, each written out once, slowly, in float64.

They are the slow twin of the model's own kernels: `inspection.worked` finds the numbers, a rule puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Numbers = Mapping[str, float]
Rows = Mapping[str, Sequence[float]]


def _dot(numbers: Numbers, rows: Rows) -> float:
    return math.fsum(a * b for a, b in zip(rows["a"], rows["b"], strict=True)) + numbers.get("bias", 0.0)


def _capped(numbers: Numbers, rows: Rows) -> float:
    return numbers["cap"] * math.tanh(_dot(numbers, rows) / numbers["cap"])


def _softmax(numbers: Numbers, rows: Rows) -> float:
    highest = max(rows["x"])
    return math.exp(rows["x"][int(numbers["at"])] - highest) / math.fsum(math.exp(x - highest) for x in rows["x"])


def _share(numbers: Numbers, rows: Rows) -> float:
    """The weight of the ``at``-th of the chosen experts."""
    each = [_softmax({"at": expert}, rows) for expert in rows["chosen"]]
    return each[int(numbers["at"])] / (math.fsum(each) if numbers["normalise"] else 1.0)


def _choice(numbers: Numbers, rows: Rows) -> float:
    """Which has the ``at``-th largest score."""
    return float(sorted(range(len(rows["x"])), key=lambda i: -rows["x"][i])[int(numbers["at"])])


def _mean(x: Sequence[float]) -> float:
    return math.fsum(x) / len(x)


def _rms(numbers: Numbers, rows: Rows) -> float:
    return math.sqrt(_mean([x * x for x in rows["x"]]) + numbers["eps"])


def _deviation(numbers: Numbers, rows: Rows) -> float:
    middle = _mean(rows["x"])
    return math.sqrt(_mean([(x - middle) ** 2 for x in rows["x"]]) + numbers["eps"])


def _rms_norm(numbers: Numbers, rows: Rows) -> float:
    return rows["x"][int(numbers["at"])] / _rms(numbers, rows) * numbers["weight"]


def _layer_norm(numbers: Numbers, rows: Rows) -> float:
    away = rows["x"][int(numbers["at"])] - _mean(rows["x"])
    return away / _deviation(numbers, rows) * numbers["weight"] + numbers["bias"]


def _silu(x: float) -> float:
    return x / (1 + math.exp(-x)) if x > -700 else 0.0


def _of(function: Callable[[float], float]) -> Callable[[Numbers, Rows], float]:
    return lambda numbers, _: function(numbers["x"])


RULES: dict[str, Callable[[Numbers, Rows], float]] = {
    "copy": _of(lambda x: x),
    "lookup": lambda numbers, _: numbers["w"] * numbers["scale"],
    "sine": lambda numbers, _: math.sin(numbers["place"] * numbers["rate"]),
    "cosine": lambda numbers, _: math.cos(numbers["place"] * numbers["rate"]),
    "sum": lambda _, rows: math.fsum(rows["terms"]),
    "dot": _dot,
    "capped": _capped,
    "scaled": lambda numbers, _: numbers["x"] / math.sqrt(numbers["width"]),
    "masked": lambda numbers, _: numbers["x"] + numbers["mask"],
    "softmax": _softmax,
    "portion": lambda numbers, _: math.exp(numbers["x"] - numbers["highest"]) / numbers["total"],
    "rms": _rms,
    "deviation": _deviation,
    "rms_norm": _rms_norm,
    "layer_norm": _layer_norm,
    "turn": lambda n, _: n["own"] * n["cos"] + n["sign"] * n["other"] * n["sin"],
    "relu": _of(lambda x: max(x, 0.0)),
    "relu2": _of(lambda x: max(x, 0.0) ** 2),
    "silu": _of(_silu),
    "gelu": _of(lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    "gelu_tanh": _of(lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2),
    "swiglu": lambda numbers, _: _silu(numbers["gate"]) * numbers["up"],
    "share": _share,
    "choice": _choice,
}
"""copy: as it was. lookup: a table's number w, times scale. sine, cosine: of place * rate. sum: of terms. dot: of a and
b, plus bias. capped: that within +-cap. scaled: x / sqrt(width). masked: x + mask, which is 0 or -inf. softmax: of row
x, at. portion: exp(x - highest) / total, where total is the sum of all such. rms: sqrt(mean(x^2) + eps). deviation:
sqrt(variance + eps). rms_norm: x[at] / rms * weight. layer_norm: (x[at] - mean) / deviation * weight + bias. turn:
own * cos + sign * other * sin. relu ... gelu_tanh: the activations. swiglu: silu(gate) * up. choice, share: which
expert has the at-th largest score x, and the weight of the at-th of the chosen ones."""
