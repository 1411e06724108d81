import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limpid.core import paths
from limpid.core.errors import LimpidError


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".limpid-")]


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LIMPID_RUNS_DIR", "LIMPID_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.runs_dir() == Path("runs")
    assert paths.cache_dir() == tmp_path / ".cache" / "limpid"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert paths.cache_dir() == Path("/x/limpid")
    monkeypatch.setenv("LIMPID_CACHE_DIR", "/y")
    assert paths.cache_dir() == Path("/y")
    monkeypatch.setenv("LIMPID_RUNS_DIR", "/z")
    assert paths.runs_dir() == Path("/z")


def test_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    paths.atomic_write_text(target, "one\n")
    paths.atomic_write_text(target, "two 床前\n")
    assert target.read_bytes() == "two 床前\n".encode()
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_a_folder_is_removed_whole_even_when_the_removal_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "step-1"
    folder.mkdir()
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")

    def cut_short(path: Path) -> None:
        (path / "a").unlink()
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut_short)
        with pytest.raises(LimpidError, match=r"Input/output error at .*step-1"):
            paths.remove_directory(folder)
    assert not folder.exists()
    assert len(leftovers(tmp_path)) == 1
    assert len(paths.clean_leftovers(tmp_path)) == 1
    assert not list(tmp_path.iterdir())


def test_write_on_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    paths.atomic_write_bytes(target, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LimpidError, match=r"disk .* is full at .*file: free some space"):
        paths.atomic_write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert not leftovers(tmp_path)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LimpidError, match="A file stands where a folder is needed"):
        paths.atomic_write_text(tmp_path / "file" / "below", "y")
    with pytest.raises(LimpidError, match="A file stands where a folder is needed"), paths.RunLock(tmp_path / "file"):
        pass
    with (
        pytest.raises(LimpidError, match="A file stands where a folder is needed"),
        paths.atomic_directory(tmp_path / "file"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LimpidError, match="Permission denied"):
        paths.atomic_write_text(tmp_path / "file", "x")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO, errno.ENOENT, errno.EISDIR])
def test_every_error_is_one_line_that_names_the_place(number: int) -> None:
    text = str(paths.describe_os_error(OSError(number, os.strerror(number)), "/some/where"))
    assert "/some/where" in text
    assert "\n" not in text


def test_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with paths.atomic_directory(target) as folder:
        (folder / "a").write_text("1")
        (folder / "sub").mkdir()
        (folder / "sub" / "b").write_text("2")
        assert not target.exists()
    assert (target / "sub" / "b").read_text() == "2"

    with pytest.raises(ValueError, match="half-way"), paths.atomic_directory(target) as folder:
        (folder / "a").write_text("never seen")
        raise ValueError("half-way")
    assert (target / "a").read_text() == "1"

    with paths.atomic_directory(target) as folder:
        (folder / "only").write_text("3")
    assert [p.name for p in target.iterdir()] == ["only"]
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


KILLED_IN_THE_BLOCK = """
import os, signal, sys
from limpid.core import paths
with paths.atomic_directory(sys.argv[1]) as folder:
    (folder / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_BETWEEN_RENAMES = """
import os, signal, sys
from limpid.core import paths
rename = os.rename
def once(old, new):
    rename(old, new)
    os.kill(os.getpid(), signal.SIGKILL)
os.rename = once
with paths.atomic_directory(sys.argv[1]) as folder:
    (folder / "new").write_text("new")
"""


@pytest.mark.parametrize("program", [KILLED_IN_THE_BLOCK, KILLED_BETWEEN_RENAMES])
def test_kill_9_loses_nothing(tmp_path: Path, program: str) -> None:
    target = tmp_path / "checkpoint"
    with paths.atomic_directory(target) as folder:
        (folder / "old").write_text("old")
    killed = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert leftovers(tmp_path)

    assert paths.clean_leftovers(tmp_path)
    assert (target / "old").read_text() == "old"
    assert not leftovers(tmp_path)


def test_cleaning_leaves_the_living_and_the_foreign_alone(tmp_path: Path) -> None:
    parent, salt = os.getppid(), "0" * 8
    alive = tmp_path / f".limpid-new-{paths._host()}-{parent}-{salt}-x"
    foreign = tmp_path / f".limpid-new-ffffffff-{dead_pid()}-{salt}-x"
    mine = tmp_path / ".limpid-notes"
    earlier = tmp_path / f".limpid-new-{paths._host()}-{os.getpid()}-{salt}-x"  # an earlier process with our number
    dead = tmp_path / f".limpid-new-{paths._host()}-{dead_pid()}-{salt}-x"
    for path in (alive, foreign, mine, earlier, dead):
        path.write_text("")
    with paths.atomic_directory(tmp_path / "y") as now:
        assert sorted(paths.clean_leftovers(tmp_path)) == sorted([earlier, dead])
        assert now.exists()
    os.utime(foreign, (0, 0))
    assert paths.clean_leftovers(tmp_path) == [foreign]
    assert alive.exists()
    assert mine.exists()


def test_lock_keeps_the_second_process_out(tmp_path: Path) -> None:
    again = "import sys; from limpid.core.paths import RunLock; RunLock(sys.argv[1]).__enter__()"
    with paths.RunLock(tmp_path / "run"):
        second = subprocess.run(
            [sys.executable, "-c", again, str(tmp_path / "run")], capture_output=True, text=True, check=False
        )
        assert f"Another limpid process (pid {os.getpid()}) is using {tmp_path / 'run'}" in second.stderr
    third = subprocess.run([sys.executable, "-c", again, str(tmp_path / "run")], check=False)
    assert third.returncode == 0
    with paths.RunLock(tmp_path / "run"):
        pass


def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LimpidError, match="a device or a pipe"):
        paths.atomic_write_bytes(pipe, b"x")
    assert pipe.is_fifo()
