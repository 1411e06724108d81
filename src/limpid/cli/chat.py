"""``limpid chat``: a conversation in the terminal, or line by line through a pipe."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli import answering
from limpid.cli.answering import harmless
from limpid.core.errors import Interrupted, LimpidError, did_you_mean

if TYPE_CHECKING:
    from limpid.cli.speakers import Piece, Speaker
    from limpid.inference.sampler import Sampling

HELP = """\
/system TEXT      set the system message (without TEXT: remove it)
/temperature T    0 is always the most probable answer
/retry            answer the last message again
/undo             take back the last message and its answer
/reset            forget the conversation (the system message stays)
/history          show the conversation
/save FILE        write the conversation as one JSON line, as limpid sft reads it
/help             this list
/quit             leave (or Ctrl-D, or Ctrl-C on an empty line)
A \\ at the end of a line continues the message on the next; //text sends a message that begins with a slash.
Ctrl-C stops an answer and keeps what was said."""


def chat(
    run: Annotated[str | None, answering.RUN] = None,
    url: Annotated[str | None, typer.Option(help="Talk with a server instead, for example limpid serve's.")] = None,
    model: Annotated[str | None, typer.Option(help="Which of the server's models (if it has several).")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="LIMPID_API_KEY", help="The server's key, if it has one.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message: who the assistant is to be.")] = None,
    max_tokens: answering.MaxTokens = 200,
    temperature: answering.Temperature = 0.8,
    top_k: answering.TopK = 0,
    top_p: answering.TopP = 1.0,
    min_p: answering.MinP = 0.0,
    repetition_penalty: answering.RepetitionPenalty = 1.0,
    seed: answering.Seed = None,
    device: answering.Device = "auto",
    dtype: answering.DType = "auto",
    draft: answering.Draft = None,
) -> None:
    """Talk with a model in the terminal: with a run, or with a server's (--url) that speaks OpenAI's protocol.

    Through a pipe every line is a message and every answer a paragraph on standard output; complaints go to standard
    error, and the exit code is then 1.
    """
    from limpid.core.recipe import parse
    from limpid.inference.sampler import Sampling

    settings = {
        "max_tokens": max_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
        "repetition_penalty": repetition_penalty, "seed": seed,
    }  # fmt: skip
    sampling = parse(Sampling, settings, "sampling")
    if (run is None) == (url is None):
        raise LimpidError("name a run to talk with, or else a server with --url.")
    if run is not None:
        if model is not None:
            raise LimpidError("--model chooses among a server's models; it needs --url.")
        speaker = _open(run, device, dtype, draft)
    else:
        if (device, dtype, draft) != ("auto", "auto", None):
            raise LimpidError("--device, --dtype and --draft are for a run; a server has chosen its own.")
        speaker = _call(url or "", model, api_key)
    conversation = Conversation(speaker, sampling, system)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if not interactive:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    else:
        _readline()  # its import is what gives input() its editing
    terminal = Terminal(conversation, interactive)
    terminal.greet()
    terminal.talk()
    if terminal.failed and not interactive:
        raise typer.Exit(1)


def _open(run: str, device: str, dtype: str, draft: str | None) -> Speaker:
    from limpid.cli.speakers import Here

    lm = answering.open_model(run, device, dtype, draft)
    if answering.only_pretrained(run):
        hint = "It continues text rather than answers: use limpid generate, or teach it with limpid sft."
        _warn(f"{run} was only pretrained. {hint}")
    return Here(lm, run)


def _call(url: str, model: str | None, key: str | None) -> Speaker:
    from limpid.cli.remote import Remote

    return Remote(url, model, key)


class Conversation:
    """Who answers, what was said, and how. Ends with an assistant message, or is empty, between two calls."""

    def __init__(self, speaker: Speaker, sampling: Sampling, system: str | None) -> None:
        self.speaker = speaker
        self.sampling = sampling
        self.system = system
        self.turns: list[dict[str, str]] = []
        self.answers = 0

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, *self.turns] if self.system else list(self.turns)

    def say(self, text: str, show: Callable[[str], None]) -> Spoken:
        """Add the user's message and stream the answer to ``show``. Raises LimpidError, with nothing added."""
        return self._answer([*self.turns, {"role": "user", "content": text}], show)

    def retry(self, show: Callable[[str], None]) -> Spoken:
        """Answer the last message again, differently (unless the temperature is 0)."""
        if not self.turns:
            raise LimpidError("there is nothing to answer again yet.")
        return self._answer(self.turns[:-1], show)

    def undo(self) -> None:
        if not self.turns:
            raise LimpidError("there is nothing to take back.")
        del self.turns[-2:]

    def set(self, **settings: Any) -> None:
        """Change fields of the sampling; raises LimpidError where one is out of range."""
        from limpid.core.recipe import parse
        from limpid.inference.sampler import Sampling

        self.sampling = parse(Sampling, {**self.sampling.model_dump(), **settings}, "sampling")

    def _answer(self, turns: list[dict[str, str]], show: Callable[[str], None]) -> Spoken:
        from limpid.core.seeding import integer

        settings = self.sampling.model_dump()
        if self.sampling.seed is not None:  # every answer draws its own numbers, or a retry would repeat itself
            settings["seed"] = integer(self.sampling.seed, "answer", self.answers)
        head = [{"role": "system", "content": self.system}] if self.system else []
        spoken = Spoken()
        try:
            for piece in self.speaker.answer([*head, *turns], settings):
                spoken.add(piece)
                show(piece.text)
        except KeyboardInterrupt:
            spoken.stopped = True
        self.answers += 1
        self.turns = [*turns, {"role": "assistant", "content": spoken.text}]
        return spoken


class Spoken:
    """One answer: its text, tokens, time, and whether Ctrl-C ended it."""

    def __init__(self) -> None:
        self.text, self.tokens, self.stopped = "", 0, False
        self._began = time.perf_counter()
        self._last = self._began

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self._last = time.perf_counter()

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(self._last - self._began, 1e-9)


class Terminal:
    """Reads lines, obeys commands, prints answers."""

    def __init__(self, conversation: Conversation, interactive: bool) -> None:
        from rich.console import Console

        self.conversation = conversation
        self.interactive = interactive
        self.console = Console(highlight=False)
        self.failed = False
        self._mine: set[Path] = set()  # files this conversation wrote, which it may write again
        self.commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: self._note(HELP),
            "/system": self._system,
            "/temperature": self._temperature,
            "/retry": lambda _: self._answer(self.conversation.retry),
            "/undo": self._undo,
            "/reset": self._reset,
            "/history": self._history,
            "/save": self._save,
        }

    def greet(self) -> None:
        if self.interactive:
            self._note(f"{self.conversation.speaker.introduction()} /help lists the commands.\n")

    def talk(self) -> None:
        """Until /quit or the end of input."""
        while (text := self._read()) is not None:
            if not text.strip():
                continue
            if text.strip() == "/quit":
                return
            try:
                self._take(text)
            except Interrupted:
                raise
            except LimpidError as error:
                self._complain(error)

    def _take(self, text: str) -> None:
        if text.startswith("/") and not text.startswith("//"):
            name, _, rest = text.strip().partition(" ")
            if name not in self.commands:
                hint = did_you_mean(name, [*self.commands, "/quit"])
                raise LimpidError(f"there is no command {name}.{hint} (//... sends a message with a slash.)")
            self.commands[name](rest.strip())
        else:
            message = text[1:] if text.startswith("//") else text
            self._answer(lambda show: self.conversation.say(message, show))

    def _read(self) -> str | None:
        """The next message, lines that end in a backslash joined; None at the end."""
        lines: list[str] = []
        while True:
            try:
                line = self._line("… " if lines else "› ")
            except KeyboardInterrupt:
                answering.write("\n")
                if lines or _typed():
                    lines = []  # Ctrl-C drops what was being typed
                    continue
                return None
            except EOFError:
                if self.interactive:
                    answering.write("\n")
                return "\n".join(lines) if lines else None
            if line.endswith("\\"):
                lines.append(line[:-1])
            else:
                return "\n".join([*lines, line])

    def _line(self, mark: str) -> str:
        if self.interactive:
            return input(mark)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def _answer(self, ask: Callable[[Callable[[str], None]], Spoken]) -> None:
        spoken = ask(lambda text: answering.write(harmless(text) if self.interactive else text))
        answering.write("\n")
        if self.interactive:
            self._note(self._status(spoken))

    def _status(self, spoken: Spoken) -> str:
        conversation = self.conversation
        parts = ["stopped"] if spoken.stopped else ["no answer"] if not spoken.text.strip() else []
        parts += conversation.speaker.fill(conversation.messages, conversation.sampling)
        parts.append(f"{spoken.tokens_per_second:,.0f} tokens/s")
        return f"[{' · '.join(parts)}]\n"

    def _system(self, text: str) -> None:
        self.conversation.system = text or None
        self._note("system message set." if text else "system message removed.")

    def _temperature(self, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            raise LimpidError(f"/temperature wants a number, for example /temperature 0.7, not '{text}'.") from None
        self.conversation.set(temperature=value)
        self._note(f"temperature is {value:g}.")

    def _undo(self, _: str) -> None:
        self.conversation.undo()
        self._note("the last message and its answer are taken back.")

    def _reset(self, _: str) -> None:
        self.conversation.turns = []
        self._note("the conversation is forgotten.")

    def _history(self, _: str) -> None:
        from rich.text import Text

        for message in self.conversation.messages:
            line = Text.assemble((f"{message['role']}: ", "bold"), harmless(message["content"]))
            self.console.print(line, soft_wrap=True)

    def _save(self, name: str) -> None:
        from limpid.core.paths import atomic_write_text

        if not name:
            raise LimpidError("/save wants a file, for example /save talk.jsonl")
        if not self.conversation.turns:
            raise LimpidError("there is nothing to save yet.")
        path = Path(name).expanduser().absolute()
        if path.exists() and path not in self._mine:
            raise LimpidError(f"{path} is there already; choose another name.")
        atomic_write_text(path, json.dumps({"messages": self.conversation.messages}, ensure_ascii=False) + "\n")
        self._mine.add(path)
        self._note(f"saved in {path}")

    def _note(self, text: str) -> None:
        from rich.text import Text

        self.console.print(Text(text, style="dim"), soft_wrap=True)

    def _complain(self, error: LimpidError) -> None:
        from rich.console import Console
        from rich.text import Text

        self.failed = True
        Console(stderr=True, soft_wrap=True).print(Text(str(error), style="red"))


def _warn(text: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(text, style="yellow", soft_wrap=True, markup=False, highlight=False)


def _typed() -> bool:
    """Whether something stands in the line being edited (as far as readline is there to tell)."""
    return bool(_readline() and _readline().get_line_buffer())


def _readline() -> Any:
    """Line editing and history for input(), where Python has them."""
    try:
        import readline
    except ImportError:
        return None
    return readline
