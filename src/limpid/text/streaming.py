"""From token bytes to text that is safe to show: whole characters only, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Utf8Stream:
    """Collects bytes and releases whole UTF-8 characters; an unfinished one waits for its other bytes."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, raw: bytes) -> str:
        return self._decoder.decode(raw)

    def flush(self) -> str:
        """What is left: U+FFFD if the text ends inside a character, else nothing."""
        return self._decoder.decode(b"", final=True)


class StopStrings:
    """Watches a stream of text for stop strings, which may arrive split over several pieces.

    `push` returns the text that is certainly not part of one; after a match `stopped` is the stop string found, and
    nothing more is released. The one that is complete first counts (of two that end together, the longer), so that
    it does not matter how the text is cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped: str | None = None
        self.rest = ""

    def push(self, text: str) -> str:
        if self.stopped is not None:
            return ""
        self._held += text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            end, at, self.stopped = min(found)
            released, self.rest, self._held = self._held[:at], self._held[end:], ""
            return released
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        released, self._held = self._held[:cut], self._held[cut:]
        return released

    def flush(self) -> str:
        """The text held back, once it is known that nothing follows."""
        released, self._held = self._held, ""
        return released

    def _overlap(self, stop: str) -> int:
        """How many characters at the end of the held text could be the start of ``stop``."""
        for length in range(min(len(stop) - 1, len(self._held)), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0
