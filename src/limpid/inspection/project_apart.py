"""`project` in a process of its own, at low priority: whoever asked goes on meanwhile, hears how far it is, and may end
it. t-SNE and UMAP take seconds to minutes, and importing them alone would hold a server up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from limpid.core.errors import LimpidError
from limpid.inspection.projection import Floats, Method, Projection, project

ITERATIONS = 1000  # of scikit-learn's t-SNE, unless it ends sooner
_PLACES = (re.compile(rb"\[t-SNE\] Iteration (\d+):"), re.compile(rb"Epochs completed:\s+(\d+)%"))


class ProjectionProcess:
    """One map under way. `done` is the share that its library says is done: 0 while it prepares."""

    def __init__(self, vectors: Floats, method: Method, seed: int = 0) -> None:
        """vectors: (N, D)."""
        self.done = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="limpid-map-")
        self._answer = Path(self._folder.name, "answer.npy")
        question = Path(self._folder.name, "question.npy")
        np.save(question, vectors)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, method, str(seed), str(question), str(self._answer)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def wait(self, hear: Callable[[float], None] = lambda done: None) -> Projection:
        """The points; ``hear`` is told `done` as it grows. Raises LimpidError where it failed or was ended."""
        assert self._process.stdout is not None
        said = b""
        try:
            while part := os.read(self._process.stdout.fileno(), 4096):
                said = (said + part)[-4096:]
                self.done = max(self.done, _share(said))
                hear(self.done)
            code = self._process.wait()
            if code:
                last = said.decode("utf-8", "replace").strip().splitlines()
                raise LimpidError(last[-1] if last and code == 1 else f"the map was ended (status {code}).")
            return Projection(np.load(self._answer), None)
        finally:
            self.end()
            self._process.stdout.close()
            self._folder.cleanup()

    def end(self) -> None:
        """Give it up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _share(said: bytes) -> float:
    iterations, epochs = (pattern.findall(said) for pattern in _PLACES)
    if epochs:
        return int(epochs[-1]) / 100
    return min(1.0, int(iterations[-1]) / ITERATIONS) if iterations else 0.0


def main() -> int:
    method, seed, question, answer = sys.argv[1:]
    os.nice(5)
    try:
        found = project(np.load(question), cast(Method, method), seed=int(seed), verbose=True)
    except LimpidError as error:
        print(error)
        return 1
    np.save(answer, found.points)
    return 0


if __name__ == "__main__":
    sys.exit(main())
