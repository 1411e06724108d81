"""Lines and programs run as a reader runs them, in a folder and with a home of their own.

A plain call of limpid runs in a fork of a process that has imported what verbs import: the same program, without two
seconds for importing torch a hundred times. What has pipes, variables or other programs goes through bash.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from limpid.core.paths import cache_dir

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = [
    "limpid.cli.main", "limpid.stages.pretrain", "limpid.stages.sft", "limpid.stages.grpo", "limpid.stages.load",
    "tests.docs.running",
]  # fmt: skip
LIMIT_SECONDS = 600


def environment(folder: Path) -> dict[str, str]:
    """That of a reader who has activated limpid's environment, and whose data sets lie in ``folder``/data."""
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"HOME": str(folder / "home"), "SHELL": "/bin/bash", "PATH": path, "OMP_NUM_THREADS": "1"}
    own |= {"LIMPID_DATA_DIR": str(folder / "data"), "LIMPID_CACHE_DIR": str(cache_dir())}
    left = {"LIMPID_RUNS_DIR", "LIMPID_API_KEY", "XDG_DATA_HOME", "XDG_CONFIG_HOME"}
    return {name: value for name, value in os.environ.items() if name not in left} | own


def settle(folder: Path) -> None:
    """Put what a terminal has where `environment` says: a home, and limpid on the path."""
    (folder / "home").mkdir()
    for place in ("bin", ".venv/bin"):
        (folder / place).mkdir(parents=True)
        for program, module in (("limpid", "limpid"), ("torchrun", "torch.distributed.run"), ("python", "")):
            script = f'#!/bin/sh\nexec "{sys.executable}" {f"-m {module} " if module else ""}"$@"\n'
            (folder / place / program).write_text(script)
            (folder / place / program).chmod(0o755)


def limpid(arguments: str, folder: Path, said: str = "") -> str:
    """``limpid`` with these arguments; what it printed. AssertionError where its exit code is not 0."""
    return _forked(_limpid, shlex.split(arguments), folder, said, f"limpid {arguments}")


def python(program: str, folder: Path) -> str:
    """A program of a page; what it printed."""
    return _forked(_program, program, folder, "", program)


def shell(line: str, folder: Path, said: str = "") -> str:
    """A line of a page; what it printed."""
    plain = re.fullmatch(r"(?:\.venv/bin/)?limpid ((?:[^|&;<>$`'\"]|'[^']*'|\"[^\"$`]*\")*)", line)
    if plain:
        return limpid(plain[1], folder, said)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment(folder), input=said, capture_output=True,
        text=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Served:
    """A server started by a page's line, on a free port; `url` is where it answers."""

    def __init__(self, line: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", f"{line} --port 0 --no-browser"], cwd=folder, env=environment(folder),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", said)
        if found is None:
            raise AssertionError(f"{line}\n{said}{self.end()}")
        self.url = found[0].replace("0.0.0.0", "127.0.0.1")

    def end(self) -> str:
        """Stop it, and wait; what it complained of."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.communicate(timeout=60)[1]


def _forked(work: object, given: object, folder: Path, said: str, shown: str) -> str:
    CONTEXT.set_forkserver_preload(PRELOADED)
    streams = [folder / f".{name}" for name in ("stdin", "stdout", "stderr")]
    streams[0].write_text(said, encoding="utf-8")
    process = CONTEXT.Process(target=_inside, args=(work, given, folder, environment(folder), streams))
    process.start()
    process.join(LIMIT_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
    out, complaint = (stream.read_text(encoding="utf-8", errors="replace") for stream in streams[1:])
    assert process.exitcode == 0, f"{shown}\n{out}\n{complaint}"
    return out


def _inside(work, given, folder: Path, variables: dict[str, str], streams: list[Path]) -> None:
    """In the fork: take on the folder, the environment and the three streams, then do the work."""
    for number, (stream, mode) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        handle = os.open(stream, mode | (os.O_CREAT | os.O_TRUNC if number else 0), 0o644)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - multiprocessing closed it, and the fork ends soon
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    work(given)


def _limpid(arguments: list[str]) -> None:
    from limpid.cli.main import main

    sys.argv = ["limpid", *arguments]
    main(arguments)


def _program(text: str) -> None:
    exec(compile(text, "page", "exec"), {"__name__": "__main__"})
