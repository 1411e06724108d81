"""What a run's folder says of its newest sitting, in sitting.json: how it was begun, what it computes with, and why it
failed if it did. Whoever looks at the run from outside (`limpid runs`, the web app) reads it there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from limpid.core import command
from limpid.core.errors import Interrupted
from limpid.core.paths import atomic_write_text

FILE = "sitting.json"


class Sitting:
    """While entered, what goes wrong is written down (a stop by a signal is nothing wrong).

    The file holds {"command", "directory", "processes", "began", "pid"}, what `note` added, and at last "error".
    command: the arguments of ``limpid``; empty where a program called the stage.
    """

    def __init__(self, folder: Path, *, processes: int = 1) -> None:
        self._path = folder / FILE
        self._facts: dict[str, Any] = {
            "command": command.given(), "directory": os.getcwd(), "processes": processes, "began": time.time(),
            "pid": os.getpid(),
        }  # fmt: skip

    def note(self, **facts: Any) -> None:
        """Add facts to the file."""
        self._facts |= facts
        atomic_write_text(self._path, json.dumps(self._facts, ensure_ascii=False, indent=1))

    def __enter__(self) -> Sitting:
        self.note()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, Interrupted):
            self.note(error=" ".join(str(error).split())[:2000] or type(error).__name__)


def read_sitting(folder: Path) -> dict[str, Any]:
    """The file of a run; {} where there is none that can be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
