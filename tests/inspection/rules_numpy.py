"""The rules of `inspection.rules` once more, in NumPy, from the papers: nothing of limpid's computing is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch


def softmax(x: Any) -> Any:
    shifted = np.exp(x - np.max(x))
    return shifted / shifted.sum()


def together(rule: str, n: Mapping[str, float], rows: Mapping[str, Sequence[float]]) -> float:
    """What a rule makes of its numbers and rows."""
    row = {symbol: np.array(values) for symbol, values in rows.items()}
    x = row.get("x", np.array(n.get("x", np.nan)))
    ways: dict[str, Callable[[], Any]] = {
        "copy": lambda: x,
        "lookup": lambda: n["w"] * n["scale"],
        "sine": lambda: np.exp(1j * n["place"] * n["rate"]).imag,
        "cosine": lambda: np.exp(1j * n["place"] * n["rate"]).real,
        "sum": lambda: row["terms"].sum(),
        "dot": lambda: row["a"] @ row["b"] + n.get("bias", 0.0),
        "capped": lambda: n["cap"] * np.tanh((row["a"] @ row["b"] + n.get("bias", 0.0)) / n["cap"]),
        "scaled": lambda: x * n["width"] ** -0.5,
        "masked": lambda: x + n["mask"],
        "softmax": lambda: softmax(x)[int(n["at"])],
        "portion": lambda: np.exp(x - n["highest"]) / n["total"],
        "rms": lambda: np.linalg.norm(np.append(x, np.sqrt(len(x) * n["eps"]))) / np.sqrt(len(x)),
        "deviation": lambda: np.sqrt(x.var() + n["eps"]),
        "rms_norm": lambda: (x / np.sqrt((x**2).mean() + n["eps"]) * n["weight"])[int(n["at"])],
        "layer_norm": lambda: ((x - x.mean()) / np.sqrt(x.var() + n["eps"]) * n["weight"] + n["bias"])[int(n["at"])],
        "turn": lambda: n["own"] * n["cos"] + n["sign"] * n["other"] * n["sin"],
        "relu": lambda: np.clip(x, 0, None),
        "relu2": lambda: np.clip(x, 0, None) ** 2,
        "silu": lambda: x / (1 + np.exp(-x)),
        "gelu": lambda: x * 0.5 * (1 + float(torch.erf(torch.tensor(float(x) / 2**0.5, dtype=torch.float64)))),
        "gelu_tanh": lambda: x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "swiglu": lambda: n["gate"] / (1 + np.exp(-n["gate"])) * n["up"],
        "choice": lambda: np.argsort(-x, kind="stable")[int(n["at"])],
        "share": lambda: _share(softmax(x)[row["chosen"].astype(int)], int(n["at"]), bool(n["normalise"])),
    }
    return float(ways[rule]())


def _share(each: Any, at: int, normalise: bool) -> Any:
    return each[at] / (each.sum() if normalise else 1.0)
