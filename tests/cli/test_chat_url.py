"""`limpid chat --url` against servers that behave in every way; tests/server/blackbox holds it against our own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from limpid.cli.chat import Conversation
from limpid.cli.remote import Remote
from limpid.core.errors import LimpidError
from limpid.inference.sampler import Sampling


class Script:
    """What the server does: its models, the key it wants, and the lines it answers a chat with."""

    def __init__(self) -> None:
        self.models: list[dict[str, Any]] | None = [{"id": "alpha", "object": "model", "max_model_len": 512}]
        self.key: str | None = None
        self.status = 200
        self.headers: dict[str, str] = {}
        self.lines: list[bytes] = []
        self.refusals: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.left = Event()  # the client hung up
        self.endless = False
        self.url = ""

    def says(self, *texts: str, tokens: int | None = None, end: bool = True) -> None:
        choices = [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        choices += [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts]
        events: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
        if tokens is not None:
            events.append({"choices": [], "usage": {"completion_tokens": tokens, "total_tokens": tokens + 10}})
        self.lines = [b"data: " + json.dumps(event, ensure_ascii=False).encode() for event in events]
        self.lines += [b"data: [DONE]"] if end else []


class Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self._unknown():
            return
        if self.path != "/v1/models" or self.script.models is None:
            self._json(404, {"error": {"message": "no such path", "code": None}})
        else:
            self._json(200, {"object": "list", "data": self.script.models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._unknown():
            return
        assert self.headers["Content-Type"] == "application/json"
        self.script.asked.append(body)
        if self.script.refusals:
            self._json(400, {"error": self.script.refusals.pop(0)})
            return
        self.send_response(self.script.status)
        for name, value in {"Content-Type": "text/event-stream", **self.script.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for line in self.script.lines:
            self.wfile.write(line + b"\n\n")
        try:
            while self.script.endless:
                self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {"content": "on "}}]}\n\n')
                self.script.left.wait(0.01)
        except OSError:
            self.script.left.set()
            self.script.endless = False

    def _unknown(self) -> bool:
        if self.script.key and self.headers["Authorization"] != f"Bearer {self.script.key}":
            self._json(401, {"error": {"message": "no", "code": "invalid_api_key"}})
            return True
        return False

    def _json(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    handler = type("Scripted", (Handler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield script
        script.endless = False
        server.shutdown()
        thread.join()


def chat(url: str, text: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limpid", "chat", "--url", url, *args]
    inherited = {k: v for k, v in os.environ.items() if k != "LIMPID_API_KEY"}
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, encoding="utf-8", env=inherited | environment
    )


def talk(script: Script, **settings: Any) -> Conversation:
    return Conversation(Remote(script.url), Sampling(**settings), None)


def quiet(_: str) -> None:
    pass


def test_lines_of_a_pipe_are_messages(script: Script, tmp_path: Path) -> None:
    script.says("床前", "明月光", " 🙂\n", "ok", tokens=9)
    file = tmp_path / "talk.jsonl"
    done = chat(script.url, f"你好 🙂\nHi\n/save {file}\n", "--system", "一只猫")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"床前明月光 🙂\nok\n床前明月光 🙂\nok\nsaved in {file}\n"
    said = json.loads(file.read_text(encoding="utf-8"))["messages"]
    assert script.asked[1]["messages"] == said[:-1]
    assert [m["content"] for m in said] == ["一只猫", "你好 🙂", "床前明月光 🙂\nok", "Hi", "床前明月光 🙂\nok"]


def test_only_what_differs_from_the_usual_is_asked_for(script: Script) -> None:
    script.says("x")
    talk(script, temperature=0.5, max_tokens=7).say("Hi", quiet)
    required = {"model", "messages", "stream", "stream_options"}
    assert set(script.asked[0]) == required | {"temperature", "max_tokens"}
    assert (script.asked[0]["model"], script.asked[0]["temperature"], script.asked[0]["max_tokens"]) == (
        "alpha",
        0.5,
        7,
    )
    conversation = talk(script, top_k=4, top_p=0.5, min_p=0.1, repetition_penalty=1.2, seed=3)
    conversation.say("Hi", quiet)
    conversation.retry(quiet)
    first, again = script.asked[1:]
    assert (first["top_k"], first["top_p"], first["min_p"], first["repetition_penalty"]) == (4, 0.5, 0.1, 1.2)
    assert 0 <= first["seed"] != again["seed"] < 2**63


def test_the_server_counts_the_tokens(script: Script) -> None:
    script.says("one", "two", tokens=5)
    conversation = talk(script)
    assert conversation.speaker.fill(conversation.messages, conversation.sampling) == []
    assert conversation.say("Hi", quiet).tokens == 5
    assert conversation.speaker.fill(conversation.messages, conversation.sampling) == ["15 of 512 tokens used"]
    assert conversation.speaker.introduction() == f"alpha at {script.url}, context 512 tokens."


def test_old_messages_are_forgotten_when_the_context_is_full(script: Script) -> None:
    script.says("yes")
    conversation = talk(script)
    conversation.system = "Be brief."
    conversation.say("one", quiet)
    conversation.say("two", quiet)
    script.refusals = [{"message": "too long", "code": "context_length_exceeded"}]
    conversation.say("three", quiet)
    assert [m["content"] for m in script.asked[-1]["messages"]] == ["Be brief.", "two", "yes", "three"]
    script.refusals = [{"message": "too long", "code": "context_length_exceeded"}] * 9
    with pytest.raises(LimpidError, match="too long"):
        conversation.say("four", quiet)
    assert conversation.turns[-1]["content"] == "yes"  # what failed is not kept


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_addresses_with_and_without_version(script: Script, end: str) -> None:
    script.says("x")
    assert Conversation(Remote(script.url + end), Sampling(), None).say("Hi", quiet).text == "x"
    assert Remote(script.url.removeprefix("http://")).model == "alpha"


def test_models_are_chosen_by_name(script: Script) -> None:
    script.says("x")
    script.models = [{"id": "alpha"}, {"id": "beta"}]
    with pytest.raises(LimpidError, match="alpha, beta; choose one with --model"):
        Remote(script.url)
    with pytest.raises(LimpidError, match="no model 'bata'. Did you mean 'beta'?"):
        Remote(script.url, "bata")
    Conversation(Remote(script.url, "beta"), Sampling(), None).say("Hi", quiet)
    assert script.asked[-1]["model"] == "beta"
    script.models = None  # not every server lists them
    assert Remote(script.url, "gamma").model == "gamma"
    with pytest.raises(LimpidError, match="404"):
        Remote(script.url)


def test_keys(script: Script) -> None:
    script.key = "sk-1"
    script.says("x")
    for arguments, wanted in (([], "wants a key: give --api-key"), (["--api-key", "sk-2"], "does not accept this key")):
        done = chat(script.url, "Hi\n", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert wanted in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "sk-2" not in done.stderr
    assert chat(script.url, "Hi\n", "--api-key", "sk-1").stdout == "x\n"
    assert chat(script.url, "Hi\n", LIMPID_API_KEY="sk-1").stdout == "x\n"
    with pytest.raises(LimpidError, match="ASCII"):
        Remote(script.url, key="sk-1\r\nX: y")


def test_nobody_is_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = chat(url, "Hi\n")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"limpid: nobody answers at {url}: Connection refused. Is the server running? limpid serve RUN starts one."
    ]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://", "http://x:port", "http://x:99999", "http://a:b@x", ""])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(LimpidError, match="no address of a server"):
        Remote(url)


def test_arguments_that_do_not_go_together(script: Script) -> None:
    complaints = {
        ("chat",): "name a run to talk with, or else a server with --url",
        ("chat", "run", "--url", script.url): "name a run to talk with, or else",
        ("chat", "run", "--model", "x"): "needs --url",
        ("chat", "--url", script.url, "--device", "cpu"): "--device, --dtype and --draft are for a run",
    }
    for arguments, wanted in complaints.items():
        command = [sys.executable, "-m", "limpid", *arguments]
        done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert wanted in done.stderr


BROKEN = {
    "ends early": ([b'data: {"choices": [{"delta": {"content": "half"}}]}'], "broke off in the middle"),
    "no JSON": ([b"data: <html>"], "does not speak OpenAI's protocol"),
    "another type": ([b"data: 7"], "does not speak OpenAI's protocol"),
    "an error inside": ([b'data: {"error": {"message": "out of\\nmemory", "code": null}}'], "out of memory"),
    "nothing": ([], "broke off in the middle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_streams_that_break(script: Script, name: str) -> None:
    script.lines, wanted = BROKEN[name]
    conversation = talk(script)
    with pytest.raises(LimpidError, match=wanted):
        conversation.say("Hi", quiet)
    assert conversation.turns == []
    script.says("well again")
    assert conversation.say("Hi", quiet).text == "well again"


@pytest.mark.parametrize(
    ("status", "headers", "wanted"),
    [
        (500, {}, "answered 500"),
        (429, {"Retry-After": "7"}, "busy; try again in 7 s"),
        (307, {"Location": "http://elsewhere/"}, "sends us on to http://elsewhere/"),
    ],
)
def test_answers_that_are_none(script: Script, status: int, headers: dict[str, str], wanted: str) -> None:
    script.status, script.headers = status, headers
    with pytest.raises(LimpidError, match=wanted):
        talk(script).say("Hi", quiet)


def test_a_talk_goes_on_after_an_error(script: Script) -> None:
    script.says("x")
    script.refusals = [{"message": "not today", "code": "whim"}]
    done = chat(script.url, "Hi\nHi again\n")
    assert done.returncode == 1
    assert done.stdout == "x\n"
    assert "not today" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_speaks_something_else() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = Thread(target=greet)
        thread.start()
        with pytest.raises(LimpidError, match="broke off: 220 mail"):
            Remote(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_ctrl_c_stops_the_answer_keeps_it_and_hangs_up(script: Script) -> None:
    script.endless = True
    conversation = talk(script)
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if len(shown) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    spoken = conversation.say("Hi", show)
    assert spoken.stopped
    assert conversation.turns[-1] == {"role": "assistant", "content": "on " * len(shown)}
    assert script.left.wait(10), "the server was left speaking to nobody"
