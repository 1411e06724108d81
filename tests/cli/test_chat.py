from __future__ import annotations

import codecs
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import random_llama

import limpid
from limpid.checkpoint import store
from limpid.cli.chat import Conversation, Terminal
from limpid.cli.speakers import Here
from limpid.core.errors import LimpidError
from limpid.core.seeding import integer
from limpid.data.chat_files import conversations
from limpid.inference.language_model import LanguageModel
from limpid.inference.sampler import Sampling
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer

ARGS = ["--temperature", "0.9", "--max-tokens", "8", "--seed", "3", "--device", "cpu", "--dtype", "float32"]


def chat(run: Path, text: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limpid", "chat", str(run), *ARGS, *args]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, encoding="utf-8")


def quiet(_: str) -> None:
    pass


@pytest.fixture
def conversation(lm: LanguageModel) -> Conversation:
    return Conversation(Here(lm), Sampling(temperature=1.0, max_tokens=5, seed=1), None)


def test_lines_of_a_pipe_are_messages(saved_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    done = chat(saved_run, f"Hi\\\nthere\n床前\n/save {file}\n/quit\nnever\n", "--system", "A cat.")
    assert done.returncode == 0, done.stderr
    talk = json.loads(file.read_text(encoding="utf-8"))["messages"]
    assert [m["role"] for m in talk] == ["system", "user", "assistant", "user", "assistant"]
    assert [m["content"] for m in talk if m["role"] != "assistant"] == ["A cat.", "Hi\nthere", "床前"]
    lm = limpid.load(saved_run, device="cpu", dtype="float32")
    for number, place in enumerate((2, 4)):
        settings = {"temperature": 0.9, "max_tokens": 8, "seed": integer(3, "answer", number)}
        assert talk[place]["content"] == lm.chat(talk[:place], **settings)
    assert done.stdout == f"{talk[2]['content']}\n{talk[4]['content']}\nsaved in {file}\n"
    (read,) = conversations(str(file))["train"]  # fine-tuning reads what chat saves
    assert list(read.messages) == talk


def test_a_model_that_was_only_pretrained_is_introduced_as_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    world = World(0, 1, torch.device("cpu"))
    for stage in ("pretrain", "sft"):
        store.write(store.checkpoint_path(tmp_path / stage, 1), random_llama(), tokenizer, {"stage": stage}, world)
    assert "only pretrained" in chat(tmp_path / "pretrain", "Hi\n").stderr
    assert "only pretrained" not in chat(tmp_path / "sft", "Hi\n").stderr


def test_unknown_commands_name_the_nearest_and_the_talk_goes_on(saved_run: Path) -> None:
    done = chat(saved_run, "/hepl\n/temperature warm\n/temperature 99\n//hi\n/help\n")
    assert done.returncode == 1
    complaints = [line for line in done.stderr.splitlines() if "torch computes this model" not in line]
    assert "no command /hepl. Did you mean '/help'?" in complaints[0]
    assert "wants a number" in complaints[1]
    assert "temperature" in complaints[2]
    assert "/retry" in done.stdout
    assert len(complaints) == 3


def test_too_long_a_message_is_refused_and_not_kept(conversation: Conversation) -> None:
    with pytest.raises(LimpidError, match="shorten it"):
        conversation.say("far too long " * 50, quiet)
    assert conversation.turns == []
    conversation.say("Hi", quiet)
    assert len(conversation.turns) == 2


def test_retry_undo_system_and_temperature(conversation: Conversation) -> None:
    for nothing in (conversation.undo, lambda: conversation.retry(quiet)):
        with pytest.raises(LimpidError, match="nothing"):
            nothing()
    first = conversation.say("Hi", quiet).text
    again = conversation.retry(quiet).text
    assert first != again  # a retry draws other numbers
    assert conversation.turns == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": again}]
    conversation.say("12", quiet)
    conversation.undo()
    assert len(conversation.turns) == 2
    conversation.set(temperature=0)
    assert conversation.retry(quiet).text == conversation.retry(quiet).text
    assert conversation.sampling.max_tokens == 5
    before = conversation.speaker.fill(conversation.messages, conversation.sampling)
    conversation.system = "Be brief."
    assert conversation.messages[0] == {"role": "system", "content": "Be brief."}
    after = conversation.speaker.fill(conversation.messages, conversation.sampling)
    assert int(after[0].split()[0]) > int(before[0].split()[0])


def test_the_same_seed_is_the_same_talk(lm: LanguageModel) -> None:
    talks = []
    for seed in (1, 1, 2):
        conversation = Conversation(Here(lm), Sampling(temperature=1.0, max_tokens=6, seed=seed), None)
        talks.append([conversation.say(text, quiet).text for text in ("Hi", "Hi")])
    assert talks[0] == talks[1] != talks[2]
    assert talks[0][0] != talks[0][1]


def test_ctrl_c_stops_the_answer_and_keeps_it(lm: LanguageModel) -> None:
    conversation = Conversation(Here(lm), Sampling(temperature=1.0, max_tokens=40, seed=1), None)
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        if len(shown) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    spoken = conversation.say("Hi", show)
    assert spoken.stopped
    assert 4 <= len(shown) <= 5
    assert conversation.turns[-1] == {"role": "assistant", "content": "".join(shown)}
    assert not conversation.say("again", quiet).stopped


def test_save_does_not_overwrite(conversation: Conversation, tmp_path: Path) -> None:
    terminal = Terminal(conversation, interactive=False)
    taken = tmp_path / "taken"
    taken.write_text("mine")
    save = terminal.commands["/save"]
    with pytest.raises(LimpidError, match="nothing to save"):
        save(str(taken))
    conversation.say("Hi", quiet)
    with pytest.raises(LimpidError, match="there already"):
        save(str(taken))
    assert taken.read_text() == "mine"
    for _ in range(2):  # its own file it may write again
        save(str(tmp_path / "new"))


class Typist:
    """A person at a terminal."""

    def __init__(self, command: list[str]) -> None:
        self.screen, inside = pty.openpty()
        own = (
            "import fcntl, os, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execvp(sys.argv[1], sys.argv[1:])"
        )
        self.process = subprocess.Popen(  # a session of its own, whose terminal this is: so ^C becomes a signal
            [sys.executable, "-c", own, *command],
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(inside)
        self.seen, self.utf8 = "", codecs.getincrementaldecoder("utf-8")()

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)

    def until(self, wanted: Callable[[str], bool], seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while not wanted(self.seen):
            ready, _, _ = select.select([self.screen], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"nothing more after: {self.seen!r}"
            try:
                piece = os.read(self.screen, 65536)
            except OSError:
                piece = b""
            assert piece, f"it left early: {self.seen!r}"
            self.seen += self.utf8.decode(piece)
        seen, self.seen = self.seen, ""
        return seen

    def type(self, text: str) -> None:
        time.sleep(0.2)  # a signal in the middle of a key press is heard only at the next key
        os.write(self.screen, text.encode())

    def code(self) -> int:
        """The exit code, once it has left."""
        return self.process.wait(timeout=30)


@pytest.mark.parametrize("leave", ["\x03", "\x04", "/quit\n"])
def test_at_a_terminal(saved_run: Path, leave: str) -> None:
    with Typist([sys.executable, "-m", "limpid", "chat", str(saved_run), *ARGS]) as person:
        assert "/help" in person.until(lambda seen: "› " in seen)
        person.type("Hi\n")
        answered = person.until(lambda seen: "tokens/s]" in seen and seen.endswith("› "))
        assert "of 64 tokens used" in answered
        person.type("half a thou")
        person.until(lambda seen: "half a thou" in seen)
        person.type("\x03")  # drops what was typed
        person.until(lambda seen: seen.endswith("› "))
        person.type("/undo\n")
        person.until(lambda seen: "taken back" in seen and seen.endswith("› "))
        person.type(leave)
        assert person.code() == 0
