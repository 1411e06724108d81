"""``limpid compress`` and ``decompress`` as commands."""

from __future__ import annotations

import errno
import gzip
import io
import json
import lzma
import os
from pathlib import Path

import pytest
import torch
from tests.conftest import TEXTS, random_llama

from limpid.checkpoint import store
from limpid.cli.main import main
from limpid.core import paths
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer


@pytest.fixture
def limpid(capsys):
    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, " ".join(said.err.split())

    return run


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_bytes("".join(TEXTS).encode())
    return file


def test_there_and_back(limpid, saved_run: Path, text: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "text.lz", tmp_path / "back.txt"
    code, out, _ = limpid("compress", saved_run, text, packed)
    assert code == 0
    assert "brought back and the same to the byte" in out
    assert "xz -9e" in out
    code, out, _ = limpid("decompress", saved_run, packed, back)
    assert code == 0
    assert back.read_bytes() == text.read_bytes()
    assert f"{text.stat().st_size:,} bytes" in out


def test_sizes_as_json(limpid, saved_run: Path, text: Path, tmp_path: Path) -> None:
    packed = tmp_path / "text.lz"
    code, out, _ = limpid("compress", saved_run, text, packed, "--json", "--no-verify")
    assert code == 0
    about = json.loads(out)
    data = text.read_bytes()
    assert about["bytes"] == len(data)
    assert about["verified"] is False
    assert about["sizes"]["limpid"] == packed.stat().st_size
    assert about["sizes"]["gzip -9"] == len(gzip.compress(data, 9))
    assert about["sizes"]["xz -9e"] == len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    assert about["sizes"]["zstd -22"] < len(data)


def test_nothing_is_written_over_or_by_another_model(
    limpid, saved_run: Path, text: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    packed, back, here = tmp_path / "text.lz", tmp_path / "back.txt", tmp_path / "here"
    here.write_text("kept")
    code, _, err = limpid("compress", saved_run, text, here)
    assert code == 1
    assert "--force" in err
    assert here.read_text() == "kept"
    assert limpid("compress", saved_run, text, packed, "--no-verify")[0] == 0
    other = tmp_path / "other"
    store.write(
        store.checkpoint_path(other, 1),
        random_llama(1),
        tokenizer,
        {"stage": "sft", "step": 1},
        World(0, 1, torch.device("cpu")),
    )
    code, _, err = limpid("decompress", other, packed, back)
    assert code == 1
    assert "another model" in err
    packed.write_bytes(packed.read_bytes()[:-3])
    code, _, err = limpid("decompress", saved_run, packed, back)
    assert code == 1
    assert "cut short" in err
    assert str(packed) in err
    assert not back.exists()
    code, _, err = limpid("compress", saved_run, tmp_path, packed, "--force")
    assert code == 1
    assert "folder" in err
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for verb, file in (("compress", text), ("decompress", packed)):
        code, _, err = limpid(verb, saved_run, file, pipe, "--force")
        assert code == 1
        assert "device or a pipe" in err
    assert pipe.is_fifo()
    code, _, err = limpid("compress", saved_run, text, tmp_path / "x", "--dtype", "int8")
    assert code == 1
    assert "--dtype int8" in err


class Full(io.FileIO):
    """A file of a disk that has room for four bytes more."""

    def write(self, data) -> int:
        super().write(bytes(data)[:4])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at_once", [True, False], ids=["as it writes", "as it is brought to the disk"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    limpid, saved_run: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    packed, folder = tmp_path / "text.lz", tmp_path / "full"
    assert limpid("compress", saved_run, text, packed, "--no-verify")[0] == 0
    folder.mkdir()
    old = folder / "old"
    old.write_text("kept")

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if at_once:
        monkeypatch.setattr(paths, "open", lambda name, mode: Full(name, mode), raising=False)
    else:
        monkeypatch.setattr(paths.os, "fsync", refuse)
    for verb, source, out in (
        ("compress", text, folder / "new"),
        ("compress", text, old),
        ("decompress", packed, folder / "new"),
    ):
        code, said, err = limpid(verb, saved_run, source, out, "--force")
        assert code == 1
        assert said == ""
        assert err.startswith(f"limpid: The disk (or your quota) is full at {out}: free some space")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"old": "kept"}
