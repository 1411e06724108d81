"""`limpid chat --url` with a live server."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import httpx
from tests.server.blackbox.asking import Live, idle, said, until


class Done(NamedTuple):
    """How the verb ended."""

    code: int
    out: str
    err: str


def chat(live: Live, text: str, *arguments: str, key: bool = True) -> Done:
    """The verb as a process of its own; no newline is translated, since a model may say a carriage return."""
    command = [sys.executable, "-m", "limpid", "chat", "--url", live.url, "--temperature", "0", "--max-tokens", "20"]
    environment = {name: value for name, value in os.environ.items() if name != "LIMPID_API_KEY"}
    if key and live.key:
        environment["LIMPID_API_KEY"] = live.key
    done = subprocess.run(
        [*command, *arguments], input=text.encode(), capture_output=True, check=False, env=environment
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_talk_is_what_the_api_says(http: httpx.Client, live: Live) -> None:
    done = chat(live, "床前明月光 🙂\nWhat is a cat?\n", "--model", live.model, "--system", "一只猫")
    assert done.code == 0, done.err
    talk: list[dict[str, str]] = [{"role": "system", "content": "一只猫"}]
    wanted = ""
    for question in ("床前明月光 🙂", "What is a cat?"):
        talk.append({"role": "user", "content": question})
        answer = said(http, live.greedy(messages=talk, max_tokens=20))
        talk.append({"role": "assistant", "content": answer})
        wanted += answer + "\n"
    assert done.out == wanted


def test_more_than_the_context_holds(live: Live) -> None:
    """The oldest messages are forgotten, as in a talk with a run."""
    done = chat(live, f"{'one ' * 300}\n{'two ' * 300}\n{'three ' * 300}\n", "--model", live.model)
    assert done.code == 0, done.err
    assert done.err == ""


def test_mistakes_are_one_line(live: Live) -> None:
    wrong = chat(live, "Hi\n", "--model", "no-such-model")
    assert (wrong.code, wrong.out, len(wrong.err.splitlines())) == (1, "", 1)
    assert "no-such-model" in wrong.err
    if live.key:
        stranger = chat(live, "Hi\n", "--model", live.model, key=False)
        assert (stranger.code, len(stranger.err.splitlines())) == (1, 1)
        assert "--api-key" in stranger.err
    until(lambda: idle(live))
