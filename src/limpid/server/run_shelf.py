"""The metrics of many runs: what their files come to, and the columns of those that were looked at last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from limpid.server.run_curves import MetricsFile
from limpid.stages.runs import Digest

BYTES = 2**29
"""Of all columns together; the least recently asked about are let go, and read again when they are asked for."""
AT_ONCE = 32 * 2**20
"""Bytes of files that one request reads: what is long is read by many, and the page shows how far it is."""


class Told(NamedTuple):
    """What a whole file comes to, for as long as it is as it was (size, time of its last change)."""

    state: tuple[int, int, int]
    digest: Digest
    names: list[str]
    damaged: int


class Reading:
    """How much one request may read yet, and what is left of the files it asked about: ``done`` of ``total`` bytes."""

    def __init__(self, most: int = AT_ONCE) -> None:
        self.left = most
        self.done = self.total = 0

    @property
    def progress(self) -> dict[str, int] | None:
        """None where nothing is left to read."""
        return None if self.done == self.total else {"done": self.done, "total": self.total}


class MetricsShelf:
    """The metrics of runs, by their file."""

    def __init__(self, most: int = BYTES) -> None:
        self._kept: OrderedDict[Path, MetricsFile] = OrderedDict()
        self._told: dict[Path, Told] = {}
        self._most = most
        self._lock = threading.Lock()

    def about(self, path: Path, reading: Reading) -> Told | None:
        """Blocking: what a file comes to, as far as it has been read. None: there is no such file (any more)."""
        try:
            now = path.stat()
        except OSError:
            return None
        state = (now.st_ino, now.st_size, now.st_mtime_ns)
        told = self._told.get(path)
        if told is None or told.state != state:
            file = self.read(path, reading)
            if file is None:
                return None
            told = Told(state, file.digest, file.names(), file.damaged)
            if not file.behind:
                self._told[path] = told
        return told

    def read(self, path: Path, reading: Reading) -> MetricsFile | None:
        """Blocking: the columns of a file, up to date as far as ``reading`` allows. None: there is no such file."""
        with self._lock:
            file = self._kept.get(path) or MetricsFile(path)
            self._kept[path] = file
            self._kept.move_to_end(path)
        try:
            reading.left -= file.read(max(0, reading.left))
        except OSError:
            return None
        reading.total += file.size
        reading.done += file.size - file.behind
        with self._lock:
            while len(self._kept) > 1 and sum(one.held_bytes for one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return file
