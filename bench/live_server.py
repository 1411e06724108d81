"""A server as a process of its own: started on a free port, waited for, watched, ended. Tests use it as well."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from bench.report import child_environment


class ServerFailed(RuntimeError):
    """The server ended, or did not answer in time; the message is the end of what it said."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def limpid_serve(runs: Sequence[str | Path], port: int, *arguments: str) -> list[str]:
    """The command line that serves ``runs`` from this source tree."""
    names = [str(run) for run in runs]
    return [sys.executable, "-m", "limpid", "serve", *names, "--port", str(port), "--no-browser", *arguments]


class LiveServer:
    """A context: the server answers ``ready_path`` with 200 when it is entered, and is gone when it is left.

    url: where it listens. process: the running server. Its output is kept in a file (see `said`), not in a pipe that
    could fill up and stop it.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        ready_path: str = "/health",
        environment: Mapping[str, str] | None = None,
        patience_seconds: float = 180,
    ) -> None:
        self.command, self.ready_path, self.patience_seconds = list(command), ready_path, patience_seconds
        self.url = f"http://127.0.0.1:{port}"
        self._environment = child_environment(environment)
        self._output = tempfile.NamedTemporaryFile("w+", suffix=".log", encoding="utf-8", errors="replace")  # noqa: SIM115

    def __enter__(self) -> LiveServer:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, env=self._environment
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                process.kill()
        self.process.wait()
        self._output.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + self.patience_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"it ended with {self.process.returncode}: {self.said()}")
            try:
                with urllib.request.urlopen(self.url + self.ready_path, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise ServerFailed(f"no answer after {self.patience_seconds:g} s: {self.said()}")

    def said(self) -> str:
        """The last lines of its output."""
        return " | ".join(Path(self._output.name).read_text(encoding="utf-8", errors="replace").splitlines()[-8:])

    def resident_bytes(self) -> int:
        """Resident memory of the server and its children."""
        whole = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in [whole, *whole.children(recursive=True)])

    def terminate(self) -> None:
        """SIGTERM: finish what is under way, then stop."""
        os.kill(self.process.pid, signal.SIGTERM)
