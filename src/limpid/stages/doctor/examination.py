"""The examination: one check after the other, none of which can end it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

State = Literal["good", "note", "bad"]

CHECKS = {
    "python": "installation", "packages": "installation", "extras": "installation", "variables": "installation",
    "folders": "installation", "terminal": "installation", "processor": "machine", "speed": "machine",
    "memory": "machine", "accelerator": "machine", "kernels": "machine", "compiler": "machine", "port": "machine",
    "training": "trial", "answering": "trial", "checkpoints": "trial",
}  # fmt: skip
"""Each check, and the module beside this one that makes it: a function of that name."""


class Finding(NamedTuple):
    """subject: the check. state: ``bad`` is what keeps limpid from working. advice: what to do, if anything."""

    subject: str
    state: State
    what: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Every check's findings, as they come; a check that fails unexpectedly is a finding as well."""
    for name, module in CHECKS.items():
        try:
            check = getattr(importlib.import_module(f"limpid.stages.doctor.{module}"), name)
            for state, what, *advice in check():
                yield Finding(name, state, what, *advice)
        except Exception as error:
            yield Finding(name, "bad", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
