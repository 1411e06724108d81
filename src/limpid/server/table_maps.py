"""Maps of many vectors: computed once, in a process apart where it takes long, with how far it is meanwhile."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.inspection.project_apart import ProjectionProcess
from limpid.inspection.projection import Method, Projection, missing, project

Floats = npt.NDArray[np.float32]
KEPT = 24
"""Maps that are kept."""
AT_ONCE = 2
"""Maps computed at a time; more wait."""
FORGOTTEN_SECONDS = 10.0
"""A map that nobody has asked for in so long is given up."""


class Progress(NamedTuple):
    """done: the share its library tells of; 0 while it waits or prepares. seconds: since it was asked for."""

    done: float
    seconds: float


class MapMaker:
    """Maps by what they are of. Blocking; of no event loop."""

    def __init__(self) -> None:
        self._maps: OrderedDict[str, _Making] = OrderedDict()
        self._lock = threading.Lock()
        self._room = threading.Semaphore(AT_ONCE)

    def ask(self, vectors: Floats, method: Method) -> Projection | Progress:
        """The map, or how far it is: ask again. Raises LimpidError where it cannot be made."""
        if package := missing(method):
            raise LimpidError(f"This map needs {package}, which is not installed: pip install 'limpid[maps]'.")
        if method == "pca":
            return project(vectors, method)
        name = hashlib.sha256(method.encode() + str(vectors.shape).encode() + vectors.tobytes()).hexdigest()
        with self._lock:
            making = self._maps.get(name)
            if making is None or making.given_up:
                making = self._maps[name] = _Making(vectors, method, self._room)
            self._maps.move_to_end(name)
            while len(self._maps) > KEPT:
                self._maps.popitem(last=False)[1].end()
        return making.asked()

    def stop(self) -> None:
        """End what is under way."""
        with self._lock:
            for making in self._maps.values():
                making.end()


class _Making:
    """One map, made on a thread that watches its process."""

    def __init__(self, vectors: Floats, method: Method, room: threading.Semaphore) -> None:
        self._vectors, self._method, self._room = vectors, method, room
        self._began = self._heard = time.monotonic()
        self._done = 0.0
        self._found: Projection | LimpidError | None = None
        self._process: ProjectionProcess | None = None
        self.given_up = False
        threading.Thread(target=self._make, name="limpid-map", daemon=True).start()

    def asked(self) -> Projection | Progress:
        self._heard = time.monotonic()
        if isinstance(self._found, LimpidError):
            raise self._found
        return self._found or Progress(self._done, self._heard - self._began)

    def end(self) -> None:
        if self._found is None:
            self.given_up = True
            if self._process is not None:
                self._process.end()

    def _make(self) -> None:
        with self._room:
            if self._is_forgotten():
                self.given_up = True
            if self.given_up:
                return
            try:
                self._process = ProjectionProcess(self._vectors, self._method)
                self._found = self._process.wait(self._hear)
            except LimpidError as error:
                self._found = error
            except OSError as error:
                self._found = LimpidError(f"the map could not be made: {error}.")

    def _hear(self, done: float) -> None:
        self._done = done
        if self._is_forgotten():
            self.end()

    def _is_forgotten(self) -> bool:
        return time.monotonic() - self._heard > FORGOTTEN_SECONDS
