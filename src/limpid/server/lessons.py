"""Lessons that a page watches while they compute: a WebSocket to a process of their own.

The event loop only carries messages to and fro; the interpreter that trains is another one, so neither answers nor
other pages wait for it. What the page asks goes to the process unread, and is judged there (`limpid.lessons.worker`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from limpid.lessons.book import CHAPTERS, NAMES, find
from limpid.lessons.notebook import notebook
from limpid.server.state import State
from limpid.server.stream import Json, in_thread

MAX_SESSIONS = 12
MAX_MESSAGE_BYTES = 512 * 2**10
"""What a page may say at once: 2,000 points as CSV, with room."""
SUBPROTOCOL = "limpid"
TRY_LATER, TOO_LARGE, FAILED, NO_SUCH = 1013, 1009, 1011, 1008
_END_SECONDS = 5
"""A process that is killed ends at once; whatever else may have been told of it, a server does not wait for ever."""
_MAX_ANSWER_BYTES = 64 * 2**20
_SESSIONS = {"playground", "perceptron", *(f"lesson:{name}" for name in NAMES)}
log = logging.getLogger("limpid.server")


def add_lessons(app: FastAPI, state: State) -> None:
    """The WebSockets ``/api/lessons/playground``, ``/api/lessons/perceptron`` and ``/api/lessons/lesson:NAME``.

    `lessons.playground.session`, `lessons.perceptron.session` and `lessons.session` say what is said there. The book of
    lessons is at ``/api/lessons``, and one of them as a notebook at ``/api/lessons/NAME.ipynb``.
    """
    running: set[WebSocket] = set()

    @app.get("/api/lessons", include_in_schema=False)
    async def contents() -> Response:
        return Json(await in_thread(_contents))

    @app.get("/api/lessons/{name}.ipynb", include_in_schema=False)
    async def as_notebook(name: str, request: Request) -> Response:
        values = dict(request.query_params)
        language = values.pop("lang", "en")
        text = await in_thread(lambda: notebook(find(name).given(values), language))
        kind = {
            "content-type": "application/x-ipynb+json",
            "content-disposition": f'attachment; filename="{name}.ipynb"',
        }
        return Response(text, headers=kind)

    @app.websocket("/api/lessons/{name}")
    async def lesson(socket: WebSocket, name: str) -> None:
        if name not in _SESSIONS:
            await socket.close(NO_SUCH, "There is no such lesson.")
            return
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
        if len(running) >= MAX_SESSIONS or state.draining:
            await socket.close(TRY_LATER, f"{MAX_SESSIONS} lessons are open already: close one.")
            return
        running.add(socket)
        try:
            await _carry(socket, name)
        finally:
            running.discard(socket)


def _contents() -> dict[str, Any]:
    """Chapters, and of each lesson all that is known before it runs."""
    return {"chapters": [
        {"title": chapter.title._asdict(), "lessons": [_lesson(name) for name in chapter.names]} for chapter in CHAPTERS
    ]}  # fmt: skip


def _lesson(name: str) -> dict[str, Any]:
    one = find(name)
    steps = [
        {"title": step.title._asdict(), "prose": step.prose._asdict(), "code": step.code,
         "inputs": [given.as_dict() for given in step.inputs]}
        for step in one.steps
    ]  # fmt: skip
    return {"name": name, "title": one.title._asdict(), "summary": one.summary._asdict(), "steps": steps}


async def _carry(socket: WebSocket, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "limpid.lessons.worker", name, stdin=PIPE, stdout=PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )  # fmt: skip
    tasks = [asyncio.create_task(_in(socket, process)), asyncio.create_task(_out(socket, process))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (WebSocketDisconnect, ConnectionError):
        pass
    except asyncio.IncompleteReadError:
        log.error("the process of a %s ended by itself", name)
        with contextlib.suppress(RuntimeError):
            await socket.close(FAILED, "The lesson's process ended; its last state is in the address.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(process.communicate(), _END_SECONDS)  # its pipes are closed as well


async def _in(socket: WebSocket, process: Process) -> None:
    """From the page to the process, which reads as fast as it likes."""
    assert process.stdin is not None
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        raw = message["text"].encode("utf-8", "replace") if message.get("text") is not None else message["bytes"]
        if len(raw) > MAX_MESSAGE_BYTES:
            await socket.close(TOO_LARGE, f"A message has at most {MAX_MESSAGE_BYTES} bytes.")
            return
        process.stdin.write(struct.pack(">I", len(raw)) + raw)
        await process.stdin.drain()


async def _out(socket: WebSocket, process: Process) -> None:
    """From the process to the page; the process sends no picture before the page has drawn an earlier one."""
    assert process.stdout is not None
    while True:
        head = await process.stdout.readexactly(5)
        length = struct.unpack(">I", head[1:])[0]
        assert length <= _MAX_ANSWER_BYTES
        raw = await process.stdout.readexactly(length)
        if head[:1] == b"B":
            await socket.send_bytes(raw)
        else:
            await socket.send_text(raw.decode())
