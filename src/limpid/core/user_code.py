"""Code that is not limpid's: from a terminal it runs because its user named it; a process that a page started runs only
what was agreed to there, file by file, each known by what stands in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from limpid.core.errors import LimpidError

AGREED = "LIMPID_AGREED_CODE"
"""The environment variable with the digests of those files, commas between; where it is unset everything may run."""


def digest(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def agreement(digests: Iterable[str]) -> dict[str, str]:
    """The environment of a process that runs no other files of a user's than these."""
    return {AGREED: ",".join(digests) or "none"}


def check(file: Path) -> None:
    """Raise LimpidError where this process was started without leave to run ``file``."""
    agreed = os.environ.get(AGREED)
    if agreed is not None and digest(file) not in agreed.split(","):
        raise LimpidError(
            f"{file.resolve()} is code that is not limpid's, and nobody has agreed to run it: read it, "
            "then go on from a terminal."
        )
