"""Where limpid keeps files, and how a file or folder is replaced so that a kill at any moment loses nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from limpid.core.errors import LimpidError

LEFTOVER_SECONDS = 24 * 3600.0
"""A temporary of another machine is taken for a leftover once it has lain untouched for this long."""

_TEMPORARY = re.compile(
    r"\.limpid-(?P<kind>new|old)-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<salt>[0-9a-f]{8})-(?P<name>.+)"
)
_ours: set[str] = set()  # names of the temporaries that this very process has in use


def runs_dir() -> Path:
    """The folder that runs live in: ``$LIMPID_RUNS_DIR``, else ``./runs``. It need not exist yet."""
    return Path(os.environ.get("LIMPID_RUNS_DIR") or "runs")


def run_folder(recipe: str, stage: str) -> Path:
    """Where a stage of a recipe runs unless told otherwise: RUNS/RECIPE/STAGE, so that a line of stages is together."""
    return runs_dir() / Path(recipe).stem / stage


def cache_dir() -> Path:
    """For what can be fetched again: ``$LIMPID_CACHE_DIR``, ``$XDG_CACHE_HOME/limpid`` or ``~/.cache/limpid``."""
    if own := os.environ.get("LIMPID_CACHE_DIR"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "limpid"
    try:
        return Path.home() / ".cache" / "limpid"
    except RuntimeError as err:
        raise LimpidError(
            "No home folder is known here: set LIMPID_CACHE_DIR to a folder that limpid may fill."
        ) from err


def keepsakes_dir() -> Path:
    """For what a user made and nothing can fetch again: ``$LIMPID_KEEP_DIR``, ``$XDG_DATA_HOME/limpid`` or
    ``~/.local/share/limpid``."""
    if own := os.environ.get("LIMPID_KEEP_DIR"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_DATA_HOME"):
        return Path(shared).expanduser() / "limpid"
    try:
        return Path.home() / ".local" / "share" / "limpid"
    except RuntimeError as err:
        raise LimpidError(
            "No home folder is known here: set LIMPID_KEEP_DIR to a folder that limpid may fill."
        ) from err


def describe_os_error(err: OSError, path: str | Path) -> LimpidError:
    """One line for an operating-system error met at `path`: what is wrong, where, and what to do."""
    match err.errno:
        case errno.ENOSPC | errno.EDQUOT:
            text = (
                f"The disk (or your quota) is full at {path}: free some space or choose another folder, then run again."
            )
        case errno.EROFS:
            text = f"{path} is on a read-only file system: choose another folder."
        case errno.EACCES | errno.EPERM:
            text = f"Permission denied at {path}: choose a folder you may write to, or change its permissions."
        case errno.ENOTDIR | errno.EEXIST:
            text = f"A file stands where a folder is needed: {path}. Move it away or choose another folder."
        case errno.EISDIR:
            text = f"{path} is a folder where a file is needed."
        case errno.ENOENT:
            text = f"{path} does not exist: check the name."
        case errno.ENAMETOOLONG:
            text = f"The name is too long for this file system: {path}. Choose a shorter one."
        case errno.EMFILE | errno.ENFILE:
            text = f"Too many files are open at {path}: raise the limit (ulimit -n) or close other programs."
        case _:
            text = f"{err.strerror or err} at {path}: check the disk and the path, then run again."
    return LimpidError(text)


@contextlib.contextmanager
def _described(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise describe_os_error(err, path) from err


def ensure_directory(path: str | Path) -> Path:
    """Make the folder `path` (and its parents) if it is absent, and return it. Raises LimpidError if it cannot be."""
    folder = Path(path)
    with _described(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary(path: Path, kind: str) -> Path:
    """A fresh name beside `path` that tells who made it: host, process and what it stands for."""
    # 160 leaves room for the prefix within the usual 255 bytes; the salt keeps clipped names apart.
    clipped = path.name.encode()[:160].decode(errors="ignore")
    return path.with_name(f".limpid-{kind}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}-{clipped}")


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _sync(path: Path) -> None:
    """Push a file or a folder's list of names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems refuse fsync on a folder
            raise
    finally:
        os.close(handle)


def check_replaceable(path: Path) -> None:
    """Raise LimpidError where a device or a pipe stands: a file moved there would take its place, for everybody."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise LimpidError(f"{path} is a device or a pipe; name the file to write.")


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Fill a file beside `path` and move it into place only when the block ends well: for what is too large to hold.

    Readers see the old file or the new one, never a part. Parent folders are made. On any failure the old file stands
    and the temporary is gone. Raises LimpidError where the disk refuses.
    """
    target = Path(path)
    check_replaceable(target)
    ensure_directory(target.parent)
    temporary = _temporary(target, "new")
    _ours.add(temporary.name)
    with _described(target):
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
            _ours.discard(temporary.name)


def atomic_write_bytes(path: str | Path, data: bytes) -> None:
    """Replace the file `path` by `data` in one step, as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(data)


def atomic_write_text(path: str | Path, text: str) -> None:
    r"""As `atomic_write_bytes`, for text: UTF-8, line ends as they are (``\n``)."""
    atomic_write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Fill a folder beside `path` and move it into place only when the block ends well.

    Yields the temporary folder. When the block raises, it is removed and an older `path` stands untouched. An older
    `path` is set aside, not deleted, until the new one is in place; a process killed between the two renames leaves
    the old one under a name from which `clean_leftovers` restores it. Raises LimpidError where the disk refuses.
    """
    target = Path(path)
    ensure_directory(target.parent)
    if target.exists() and not target.is_dir():
        raise LimpidError(f"A file stands where a folder is needed: {target}. Move it away or choose another folder.")
    temporary = _temporary(target, "new")
    _ours.add(temporary.name)
    try:
        with _described(target):
            temporary.mkdir()
        yield temporary
        with _described(target):
            _move_into_place(temporary, target)
    except OSError as err:
        raise describe_os_error(err, err.filename or target) from err
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _ours.discard(temporary.name)


def _move_into_place(temporary: Path, target: Path) -> None:
    for folder, _, files in os.walk(temporary, topdown=False):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))
    old: Path | None = None
    if target.exists():
        old = _temporary(target, "old")
        _ours.add(old.name)
        os.rename(target, old)
    try:
        os.rename(temporary, target)
    except OSError:
        if old is not None:
            os.rename(old, target)
            _ours.discard(old.name)
        raise
    _sync(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
        _ours.discard(old.name)


def remove_directory(path: str | Path) -> None:
    """Remove the folder `path` in one step: it is renamed first, so that a kill leaves it whole or gone, never a part.

    What such a kill leaves under the other name, `clean_leftovers` removes. Raises LimpidError.
    """
    target = Path(path)
    doomed = _temporary(target, "new")
    _ours.add(doomed.name)
    try:
        with _described(target):
            os.rename(target, doomed)
            shutil.rmtree(doomed)
    finally:
        _ours.discard(doomed.name)


def clean_leftovers(parent: str | Path) -> list[Path]:
    """Remove what killed processes left in the folder `parent`, and return the names that were dealt with.

    A temporary is a leftover when the process named in it no longer runs on this machine, or when it comes from
    another machine and has not been touched for `LEFTOVER_SECONDS`. A folder that was set aside just before a kill
    is put back where its place is empty.
    """
    folder = Path(parent)
    if not folder.is_dir():
        return []
    done: list[Path] = []
    with _described(folder):
        for entry in sorted(folder.iterdir()):
            found = _TEMPORARY.fullmatch(entry.name)
            if found is None or not _is_leftover(entry, found["host"], int(found["pid"])):
                continue
            place = folder / found["name"]
            if found["kind"] == "old" and not place.exists():
                os.rename(entry, place)
            elif entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
            done.append(entry)
    return done


def _is_leftover(entry: Path, host: str, pid: int) -> bool:
    if entry.name in _ours:
        return False
    if host == _host():
        # Our own number on a temporary we do not know: a container's earlier process had the same one.
        return pid == os.getpid() or not _runs(pid)
    try:
        return time.time() - entry.stat().st_mtime > LEFTOVER_SECONDS
    except FileNotFoundError:
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


class RunLock:
    """A context manager that keeps a second limpid process out of a folder.

    The lock is the kernel's (flock on ``DIR/.lock``), so a killed process never leaves it behind; the file holds the
    owner's process number for the other one's message. Raises LimpidError when the folder is in use or unwritable.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._handle: int | None = None

    def __enter__(self) -> RunLock:
        ensure_directory(self.directory)
        path = self.directory / ".lock"
        with _described(self.directory):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as err:
            owner = os.pread(handle, 32, 0).decode("ascii", errors="replace").strip()
            os.close(handle)
            raise LimpidError(
                f"Another limpid process (pid {owner or 'unknown'}) is using {self.directory}: "
                "wait for it, stop it, or choose another folder with --out."
            ) from err
        except OSError as err:
            os.close(handle)
            raise describe_os_error(err, path) from err
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)  # closing releases the lock; removing the file would let two processes each hold one
            self._handle = None
