"""What a stage tells its caller while it works. The caller prints; the stage only yields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from limpid.training.fit import StepReport


class Started(NamedTuple):
    """A stage begins (or goes on at ``start``)."""

    stage: str
    start: int
    steps: int
    parameters: int
    device: str
    dtype: str
    compiled: bool
    note: str = ""


class Evaluated(NamedTuple):
    """Held-out measures after ``step`` steps, by name."""

    step: int
    values: dict[str, float]


class Sampled(NamedTuple):
    """What the model writes after ``step`` steps."""

    step: int
    prompt: str
    text: str


class Saved(NamedTuple):
    """A whole checkpoint lies at ``path``."""

    step: int
    path: Path


class Finished(NamedTuple):
    """The stage is done; ``summary`` is what summary.json holds."""

    stage: str
    summary: dict[str, Any]


Event = Started | StepReport | Evaluated | Sampled | Saved | Finished
