"""llama.cpp itself, where the package llama-cpp-python is installed, as the witness of an export."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError

# In a process of its own, since llama.cpp ends the process where it meets what it does not expect. The cache is kept in
# float32 (its type 0): by default it is float16.
_PROGRAM = """
import json, sys
import numpy
from llama_cpp import Llama
model, asked, answer = sys.argv[1:]
asked = json.load(open(asked, encoding="utf-8"))
llama = Llama(model, n_ctx=asked["context"], logits_all=True, verbose=False, type_k=0, type_v=0, n_threads=1)
llama.eval(asked["ids"])
numpy.save(answer + ".npy", llama.scores[: len(asked["ids"])])
ids = list(asked["start"])
llama.reset()
llama.eval(ids)
for _ in range(asked["steps"]):
    ids.append(int(llama.scores[llama.n_tokens - 1].argmax()))
    llama.eval(ids[-1:])
texts = [llama.tokenize(text.encode(), add_bos=False, special=False) for text in asked["texts"]]
json.dump({"ids": texts, "said": ids[len(asked["start"]):]}, open(answer, "w", encoding="utf-8"))
"""


class Testimony(NamedTuple):
    """logits (T, V); ids of each text; the greedy continuation of the start."""

    logits: npt.NDArray[np.float32]
    ids: list[list[int]]
    said: list[int]


def is_here() -> bool:
    """Whether llama-cpp-python is installed."""
    return importlib.util.find_spec("llama_cpp") is not None


def ask(
    path: Path, context: int, ids: Sequence[int], texts: Sequence[str], start: Sequence[int] = (), steps: int = 0
) -> Testimony:
    """What llama.cpp makes of the model at ``path``.

    Raises:
        LimpidError: it does not load it; its last line says why.
    """
    with tempfile.TemporaryDirectory() as place:
        asked, answer = Path(place, "asked.json"), Path(place, "answer.json")
        question = {
            "context": context, "ids": list(ids), "texts": list(texts), "start": list(start) or list(ids[:1]),
            "steps": steps,
        }  # fmt: skip
        asked.write_text(json.dumps(question), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path), str(asked), str(answer)], capture_output=True, text=True
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
            raise LimpidError(f"llama.cpp cannot load {path}: {last}")
        said = json.loads(answer.read_text(encoding="utf-8"))
        return Testimony(np.load(f"{answer}.npy"), said["ids"], said["said"])
