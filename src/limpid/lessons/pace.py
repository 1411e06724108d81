"""How fast a lesson that is watched goes: as many epochs as were asked for, and never more pictures than are drawn."""

from __future__ import annotations

import time
from collections.abc import Callable

FRAME_SECONDS = 1 / 60
WORK_SECONDS = 1 / 40
"""The longest that is computed between two looks at what the page says."""
IN_FLIGHT = 2
"""Pictures on their way: a page that is slow to draw makes the lesson wait, and nothing queues up."""


class Pace:
    """Epochs and pictures in time.

    A page says which picture it has drawn; while `IN_FLIGHT` of them are not drawn, nothing is computed. So a page that
    nobody sees, which browsers do not let draw, costs nothing.
    """

    def __init__(self) -> None:
        self.running = False
        self._sent = self._drawn = 0
        self._last_frame = self._last_work = 0.0
        self._owed = 0.0

    @property
    def open(self) -> bool:
        """Whether another picture may be sent."""
        return self._sent - self._drawn < IN_FLIGHT

    def start(self) -> None:
        self.running, self._last_work, self._owed = True, time.monotonic(), 0.0

    def next_number(self) -> int:
        """The number of the picture that is sent now."""
        self._sent += 1
        self._last_frame = time.monotonic()
        return self._sent

    def drawn(self, number: int) -> None:
        """The page has drawn that one, and those before it."""
        self._drawn = min(max(self._drawn, number), self._sent)

    def train(self, now: float, epochs_per_second: float, step: Callable[[], bool]) -> None:
        """Take as many steps as the time since the last call is worth, 0 epochs a second meaning as many as there can
        be; step: says whether to go on."""
        self._owed = min(self._owed + (now - self._last_work) * epochs_per_second, max(epochs_per_second / 4, 1))
        self._last_work = now
        until = time.monotonic() + WORK_SECONDS
        while epochs_per_second == 0 or self._owed >= 1:
            self._owed = max(0.0, self._owed - 1)
            if not step() or time.monotonic() >= until:
                return

    def frame_due(self, now: float) -> float:
        """Seconds until the next picture may be sent; 0 or less: now."""
        return self._last_frame + FRAME_SECONDS - now
