"""Stopping a training, and going on with one: a signal to the process that holds a run's lock; processes of our own."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import limpid
from limpid.core.errors import LimpidError
from limpid.core.user_code import agreement
from limpid.server.errors import bad_request
from limpid.server.run_code import UserFile, files_named
from limpid.server.run_folder import FILE_BYTES, LOG, RunFolder
from limpid.stages.runs import is_locked, stage_of
from limpid.stages.sitting import read_sitting

BEGINS_FROM = {
    "sft": "pretrain", "distill": "pretrain", "classify": "pretrain", "reward": "sft", "dpo": "sft", "grpo": "sft",
    "ppo": "sft",
}  # fmt: skip
"""The stage beside a run that it was begun from, where the run itself does not say how it was begun."""
VERBS = ("demo", "pretrain", "seq2seq", "skipgram", *BEGINS_FROM)


class RunControl:
    """Blocking; of no event loop."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def stop(self, run: Path) -> int:
        """Ask the process that trains in ``run`` to save and end; its number.

        The process must hold the run's lock, belong to this user, and be limpid's.

        Raises:
            ApiError: nothing runs there. LimpidError: it is not ours to stop.
        """
        owner = lock_owner(run)
        if owner is None:
            raise bad_request(f"nothing is running in {run.name}.", "run", "run_not_running")
        if owner == os.getpid():
            raise LimpidError(f"{run.name} is in use by this very server.")
        uid, command = _process(owner)
        if uid is None or not is_locked(run):
            raise bad_request(f"nothing is running in {run.name} any more.", "run", "run_not_running")
        if uid != os.getuid():
            raise LimpidError(f"{run.name} is trained by another user (process {owner}); only they may stop it.")
        if not _is_limpid(command):
            raise LimpidError(f"process {owner}, which holds {run.name}, is no limpid process; it is left alone.")
        os.kill(owner, signal.SIGTERM)
        return owner

    def command(self, run: Path) -> list[str]:
        """The arguments of ``limpid`` that go on with a run.

        Raises:
            LimpidError: it cannot be gone on with from here; the message says why.
        """
        sitting = read_sitting(run)
        if (sitting.get("processes") or 1) > 1:
            raise LimpidError(
                f"{run.name} was trained by several processes: go on with it by torchrun, as it was begun."
            )
        given = sitting.get("command")
        if isinstance(given, list) and given and all(isinstance(part, str) for part in given):
            if given[0] not in VERBS:
                raise LimpidError(f"{run.name} was not begun by a training verb of limpid, but by: {given[0][:40]}.")
            more = "--no-browser" if given[0] == "demo" else "--resume"
            target = run.parent if given[0] == "demo" else run
            here = _placed(given, target.resolve(), _directory(sitting) or Path.cwd())
            return here if more in here else [*here, more]
        stage, recipe = stage_of(run), run / "recipe.toml"
        if stage not in VERBS or stage == "demo" or not recipe.is_file():
            raise LimpidError(f"{run.name} does not say how it was begun; go on with it from a terminal.")
        found = [stage, str(recipe.resolve()), "--out", str(run.resolve()), "--resume"]
        if (begin := BEGINS_FROM.get(stage)) is not None:
            beside = run.parent / begin
            if not beside.is_dir() or not self._folder.holds(beside):
                raise LimpidError(f"{run.name} does not say what it was begun from; go on with it from a terminal.")
            found += ["--from", str(beside.resolve())]
        reward = run.parent / "reward"
        if stage in ("grpo", "ppo") and (reward / "checkpoints").is_dir():
            found += ["--reward-model", str(reward.resolve())]
        return found

    def code(self, run: Path, arguments: Sequence[str]) -> list[UserFile]:
        """The files that ``arguments`` would run and that are not limpid's."""
        directory = _directory(read_sitting(run)) or Path.cwd()
        words = [*arguments, *(word.partition("=")[2] for word in arguments)]  # --recipe=FILE is one as well
        recipes = [
            path for path in (run / "recipe.toml", *(directory / word for word in words if word)) if _is_recipe(path)
        ]
        return files_named(
            [*arguments, *(path.read_text(encoding="utf-8", errors="replace") for path in recipes)], directory
        )

    def resume(self, run: Path, agreed: Sequence[str] = ()) -> list[str]:
        """Go on with a run in a process of its own, which outlives this server; what it says is kept in its folder.

        agreed: digests of files of a user's that may run in it; no other will.

        Raises:
            ApiError: it is running, or would run a file that nobody agreed to. LimpidError: `command` knows of no way.
        """
        with self._lock:
            if is_locked(run) or self._is_starting(run):
                raise bad_request(f"{run.name} is running already.", "run", "run_locked")
            arguments = self.command(run)
            if not self._folder.holds(run / LOG):
                raise LimpidError(f"{run / LOG} leads out of the folder of runs.")
            if unread := [file.path for file in self.code(run, arguments) if file.digest not in agreed]:
                raise bad_request(
                    f"This training runs code that is not limpid's: {', '.join(unread)}. Read it, and agree to it.",
                    "agreed", "code_not_agreed",
                )  # fmt: skip
            where = _directory(read_sitting(run))
            environment = {name: value for name, value in os.environ.items() if name != "LIMPID_API_KEY"}
            environment |= agreement(agreed) | _searching() | {"COLUMNS": "110"}
            with (run / LOG).open("ab") as log:
                log.write(f"$ limpid {shlex.join(arguments)}\n".encode())
                log.flush()
                self._children[run] = subprocess.Popen(
                    [sys.executable, "-m", "limpid", *arguments], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, cwd=where, env=environment, start_new_session=True,
                )  # fmt: skip
            return arguments

    def child(self, run: Path) -> dict[str, Any] | None:
        """What became of the process that went on with a run: {"pid", "code"}; code: None while it runs."""
        process = self._children.get(run)
        return None if process is None else {"pid": process.pid, "code": process.poll()}

    def _is_starting(self, run: Path) -> bool:
        return run in self._children and self._children[run].poll() is None


def _directory(sitting: dict[str, Any]) -> Path | None:
    """Where a run was begun, if that is still there."""
    said = sitting.get("directory")
    return Path(said) if isinstance(said, str) and Path(said).is_dir() else None


def _is_recipe(path: Path) -> bool:
    try:
        return path.suffix == ".toml" and path.is_file() and path.stat().st_size <= FILE_BYTES
    except OSError:
        return False


def _placed(given: list[str], target: Path, directory: Path) -> list[str]:
    """A command that writes to the run that it stands in, wherever that was when it was begun, and nowhere else."""
    rest: list[str] = []
    said: list[str] = []
    words = iter(given)
    for word in words:
        if word == "--out":
            said.append(next(words, ""))
        elif word.startswith("--out="):
            said.append(word.removeprefix("--out="))
        else:
            rest.append(word)
    if len(said) == 1 and (directory / said[0]).resolve() == target:
        return given
    return [*rest, "--out", str(target)]


def _searching() -> dict[str, str]:
    """Where a new process finds limpid: where this one did, and never in the folder it begins in, which is a run's."""
    own = str(Path(limpid.__file__).resolve().parents[1])
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [own, *(str(Path(one).resolve()) for one in given if one)]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths)}


def lock_owner(run: Path) -> int | None:
    """The process that holds a run's lock, by the kernel's own table where there is one (Linux), else as the lock's
    file says; None: nobody does."""
    if not is_locked(run):
        return None
    try:
        state = (run / ".lock").stat()
        said = int((run / ".lock").read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
    try:
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return said
    place = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    rows = [line.split() for line in table.splitlines() if " FLOCK " in line]
    owners = {int(row[-4]) for row in rows if len(row) >= 8 and row[-3] == place and "->" not in row}
    if not owners:  # file systems that lie in layers (overlayfs) are in the table under another number
        inode = f":{state.st_ino}"
        owners = {int(row[-4]) for row in rows if len(row) >= 8 and row[-3].endswith(inode) and "->" not in row}
    return said if not owners or said in owners else owners.pop() if len(owners) == 1 else None


def _process(pid: int) -> tuple[int | None, str]:
    """The user of a process and its command line; (None, "") where there is none."""
    done = subprocess.run(["ps", "-o", "uid=,args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    uid, _, command = done.stdout.strip().partition(" ")
    return (int(uid), command.strip()) if uid.isdecimal() else (None, "")


def _is_limpid(command: str) -> bool:
    parts: list[str] = []
    with contextlib.suppress(ValueError):
        parts = shlex.split(command)
    parts = parts or command.split()
    module = ("-m", "limpid") in itertools.pairwise(parts)
    return module or any(Path(part).name == "limpid" for part in parts[:2])
