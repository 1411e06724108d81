"""A process that computes one lesson for one page: messages come in on standard input, pictures go out.

    python -m limpid.lessons.worker playground | perceptron

A server starts one for each open page, so that nothing a lesson computes holds the server's interpreter; it ends when
its standard input does. In: JSON objects, each after its length (4 bytes, big-endian). Out: J or B for JSON or bytes,
the length, the content.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Protocol

from limpid.core.errors import LimpidError

NICENESS = 5
"""Whoever talks to a model on the same machine comes first."""
Message = dict[str, Any] | bytes
Send = Callable[[Message], None]


class Session(Protocol):
    """What a page sees of a lesson."""

    def receive(self, message: dict[str, Any], send: Send) -> None:
        """Do what is asked. Raises LimpidError: the page is told, and all stays as it was."""

    def work(self, now: float, send: Send) -> float | None:
        """Compute a little and send what there is to see; seconds until there is more to do, None: not by itself."""


def packed(message: Message) -> bytes:
    """A message as it goes out."""
    if isinstance(message, bytes):
        return b"B" + struct.pack(">I", len(message)) + message
    raw = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return b"J" + struct.pack(">I", len(raw)) + raw


def serve(session: Session, source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer until ``source`` ends or nobody reads ``sink``."""
    inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, inbox), daemon=True).start()

    def send(message: Message) -> None:
        sink.write(packed(message))
        sink.flush()

    wait: float | None = None
    while True:
        try:
            raw = inbox.get(timeout=wait) if wait is None or wait > 0 else inbox.get_nowait()
        except queue.Empty:
            wait = session.work(time.monotonic(), send)
            continue
        if raw is None:
            return
        try:
            _answer(session, raw, send)
        except LimpidError as error:
            send({"fault": str(error)})
        wait = session.work(time.monotonic(), send)


def _answer(session: Session, raw: bytes, send: Send) -> None:
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        raise LimpidError("this message is no JSON.") from None
    if not isinstance(message, dict):
        raise LimpidError("a message is a JSON object.")
    session.receive(message, send)


def _read(source: IO[bytes], inbox: queue.SimpleQueue[bytes | None]) -> None:
    with contextlib.suppress(OSError):
        while len(head := source.read(4)) == 4:
            inbox.put(source.read(struct.unpack(">I", head)[0]))
    inbox.put(None)


def main() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    if sys.argv[1:] == ["perceptron"]:
        from limpid.lessons.perceptron.session import PerceptronSession

        session: Session = PerceptronSession()
    else:
        from limpid.lessons.playground.session import PlaygroundSession

        session = PlaygroundSession()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(session, sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
