"""The one exception a user may see, and the wording helpers every error shares."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LimpidError(Exception):
    """A condition its reader can mend. The message is one line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with ``exit_code``.
    """

    exit_code = 1


class Interrupted(LimpidError):
    """Work was stopped by a signal after its state was saved; ``exit_code`` is 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the nearest known name, else the list of names there are."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" There are: {', '.join(names)}." if names else ""
