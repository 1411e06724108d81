"""The process in which a user's reward function runs: JSON lines in, JSON lines out.

``python -m limpid.rollout.rewards.worker FILE FUNCTION``. What the function prints goes to standard error, so that it
cannot be taken for an answer; what it raises is an answer; if it never returns, only this process is lost. Ctrl-C is
the training's to hear: it ends its step first, and that step's rewards still come from here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from typing import Any


def main() -> None:
    path, name = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        function = load(path, name)
    except BaseException as error:  # whatever the file does when it is imported, sys.exit among it
        say({"refused": f"{type(error).__name__}: {error}"})
        return
    say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            value = function(asked["prompt"], asked["answer"], asked["row"], **asked["options"])
            say({"reward": float(value)})  # Python's JSON knows NaN and Infinity; the reader refuses them
        except Exception as error:  # the function is the user's: it may raise anything
            say({"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]})


def load(path: str, name: str) -> Any:
    """The function ``name`` of the Python file at ``path``; modules beside the file can be imported."""
    spec = importlib.util.spec_from_file_location("limpid_user_rewards", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise AttributeError(f"{path} has no function '{name}'")
    return function


if __name__ == "__main__":
    main()
