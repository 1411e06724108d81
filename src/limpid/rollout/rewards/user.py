"""A user's reward function, ``file.py:function``, in processes of its own: it may hang, crash or print."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from limpid.core import user_code
from limpid.core.errors import LimpidError
from limpid.rollout.rewards.own import Row

START_SECONDS = 120.0
"""For importing the user's file and what it imports."""


class Asked(Protocol):
    """What a reward function is given."""

    @property
    def question(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def row(self) -> Row: ...


class UserFunction:
    """Rewards by a function of the user's; an exception, a time-out or a crash gives the reason instead of a number.

    Args:
        name: ``file.py:function``. options: keyword arguments of every call. timeout_seconds: for one call; a process
        that passes it is killed and another started. workers: processes, each with one call at a time.

    Raises:
        LimpidError: no such file or function, or importing the file fails.
    """

    def __init__(self, name: str, options: dict[str, Any], timeout_seconds: float, workers: int = 1) -> None:
        file, _, function = name.rpartition(":")
        if not Path(file).is_file():
            raise LimpidError(f"the reward '{name}' is to come from {file}, which is no file.")
        user_code.check(Path(file))
        self.name, self.options, self.timeout_seconds = name, options, timeout_seconds
        self._command = [sys.executable, "-m", "limpid.rollout.rewards.worker", file, function]
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="reward")
        self._free.put(self._started())
        for _ in range(workers - 1):
            self._free.put(self._started())

    def __call__(self, answers: Sequence[Asked]) -> list[float | str]:
        return list(self._pool.map(self._one, answers))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()
        while not self._free.empty():
            self._free.get().kill()

    def _one(self, answer: Asked) -> float | str:
        process = self._free.get()
        try:
            process.say({"prompt": answer.question, "answer": answer.text, "row": answer.row, "options": self.options})
            told = process.hear(self.timeout_seconds)
        except TimeoutError:
            process.kill()
            process = self._started()
            return f"no answer within {self.timeout_seconds:g} s"
        except OSError:
            process.kill()
            process = self._started()
            return "the process ended"
        finally:
            self._free.put(process)
        return told["reward"] if "reward" in told else str(told["error"])

    def _started(self) -> _Process:
        process = _Process(self._command)
        try:
            told = process.hear(START_SECONDS)
        except (TimeoutError, OSError) as error:
            process.kill()
            raise LimpidError(f"the reward '{self.name}' cannot be loaded: its process ended or hung.") from error
        if "refused" in told:
            process.kill()
            raise LimpidError(f"the reward '{self.name}' cannot be loaded: {told['refused']}")
        return process


class _Process:
    """A worker, spoken to in lines."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")  # it has ended

    def say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, default=str) + "\n")
        self._process.stdin.flush()

    def hear(self, timeout_seconds: float) -> dict[str, Any]:
        """The next message. Raises TimeoutError, and OSError where the process has ended."""
        try:
            line = self._lines.get(timeout=timeout_seconds)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            raise BrokenPipeError
        told: dict[str, Any] = json.loads(line)
        return told

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was still to be written has nowhere to go
                    pipe.close()
