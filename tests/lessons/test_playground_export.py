"""Exported programs run by themselves and end at the playground's weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.lessons.playground import Playground

CASES: list[dict[str, Any]] = [
    {},
    {"optimizer": "momentum", "learning_rate": 0.003, "regularization": "L1", "regularization_rate": 0.03},
    {"optimizer": "adam", "learning_rate": 0.003, "dropout": 0.3, "activations": ("relu", "gelu"),
     "regularization": "L2", "regularization_rate": 0.01, "inputs": ("x", "y", "sinX", "cosY", "xTimesY")},
    {"loss": "crossEntropy", "layers": (), "batch_size": 7},
    {"problem": "regression", "reg_dataset": "reg-gauss", "activation": "sigmoid", "layers": (3,), "train_percent": 20},
    {"activation": "linear", "dropout": 0.5, "init_zero": True, "dataset": "xor", "regularization": "L1",
     "regularization_rate": 0.001},
]  # fmt: skip
EPOCHS = 12
ASK = {
    "numpy_program": "json.dumps([x.ravel().tolist() for layer in net.train({n}) for x in layer])",
    "torch_program": "json.dumps([x.detach().ravel().tolist() for x in net.train({n}).parameters()])",
}


@pytest.mark.parametrize("program", ASK)
def test_the_programs_train_the_same_net(program: str, tmp_path: Path) -> None:
    found = [Playground(**{"dataset": "spiral", **case}).run(EPOCHS) for case in CASES]
    for at, p in enumerate(found):
        (tmp_path / f"net{at}.py").write_text(getattr(p, program)(), encoding="utf-8")
    asked = ASK[program].format(n=EPOCHS)
    code = f"import json, importlib\nfor i in range({len(CASES)}):\n"
    code += f"    net = importlib.import_module(f'net{{i}}')\n    print({asked})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for p, line in zip(found, done.stdout.splitlines(), strict=True):
        weights = np.concatenate([np.array(part) for part in json.loads(line)])
        np.testing.assert_allclose(weights, p.net.parameters, rtol=0, atol=1e-8, err_msg=str(p.settings))


@pytest.mark.parametrize("program", ASK)
def test_a_program_says_its_loss(program: str, tmp_path: Path) -> None:
    p = Playground.from_csv("\n".join(f"{x},{y},{int(x > y)}" for x in range(-4, 5) for y in range(-4, 5)))
    p.edit(0, 0, 0, 1.5)
    (tmp_path / "net.py").write_text(getattr(p, program)(), encoding="utf-8")
    done = subprocess.run([sys.executable, "net.py", "3"], cwd=tmp_path, capture_output=True, text=True, check=True)
    last = p.run(3).history[-1]
    assert f"3 epochs: training loss {last.train:.6f}" in done.stdout
    assert f"test loss {last.test:.6f}" in done.stdout
    assert "limpid" not in [line for line in (tmp_path / "net.py").read_text().splitlines() if "import" in line]
    p.change(learning_rate=0.1)
    assert "Dials were turned or weights edited" in getattr(p, program)()
