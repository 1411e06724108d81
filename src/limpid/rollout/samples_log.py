"""Answers of each rollout beside their rewards, for eyes: DIR/samples.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limpid.core.logging import read_metrics
from limpid.core.paths import atomic_write_text


class SamplesLog:
    """One JSON object a line: {"step", "prompt", "answer", "tokens", "finished", "reward", "parts"}.

    What an earlier sitting wrote of the first step that is written now, and of later ones, is dropped first.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "samples.jsonl"
        self._begun = False

    def write(self, step: int, samples: Sequence[dict[str, Any]]) -> None:
        """The samples of the rollout that update ``step`` begins with."""
        if not self._begun:
            before = read_metrics(self._path) if self._path.exists() else []
            atomic_write_text(self._path, "".join(map(_line, (r for r in before if r["step"] < step))))
            self._begun = True
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(_line({"step": step, **sample}) for sample in samples)


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
