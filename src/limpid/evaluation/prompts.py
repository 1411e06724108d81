"""What several models are asked, so that they can be compared: held-out questions, or the user's own prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError
from limpid.data.conversations import Conversation, Grade, grade
from limpid.data.decode import lines
from limpid.data.preferences import messages_of
from limpid.data.sources import records
from limpid.text.chat import Message

ASKED = ("prompt", "question", "instruction", "messages")
ANSWERS = ("answer", "expected", "completion", "response", "output")


class Question(NamedTuple):
    """kind: what measures are told apart by. expected: the right answer, None where nothing says."""

    prompt: tuple[Message, ...]
    kind: str
    expected: str | None

    def grade(self, answer: str) -> Grade | None:
        """Right, admitted or wrong, as of `limpid.data.conversations.grade`; None where no answer is expected."""
        if self.expected is None:
            return None
        return grade(Conversation(self.kind, (), "", 0, self.expected), answer)


def of_conversations(conversations: Sequence[Conversation]) -> list[Question]:
    """Questions with their right answers."""
    return [Question(c.prompt, c.kind, c.expected) for c in conversations]


def read_prompts(file: Path) -> list[Question]:
    """The prompts of a file: plain text, one a line; or rows with a ``prompt`` (or question, instruction, messages).

    A row's ``answer`` (or expected, completion, response, output), or the assistant's message that ends ``messages``,
    is the right answer, compared but for outer white space; ``kind`` or ``source`` is its kind.

    Raises:
        LimpidError: no such file, a row without a prompt (file and line), or nothing in it.
    """
    if not file.is_file():
        raise LimpidError(f"there is no file of prompts at {file}.")
    if file.suffix.lower() in (".txt", ".md", ""):
        said = [line.strip() for line in lines(file)]
        found = [Question(({"role": "user", "content": line},), "", None) for line in said if line]
    else:
        found = [_question(record.fields, record.source) for record in records(file)]
    if not found:
        raise LimpidError(f"{file} holds no prompts: one a line, or rows with a 'prompt'.")
    return found


def _question(row: Mapping[str, Any], source: str) -> Question:
    field = next((field for field in ASKED if row.get(field) is not None), None)
    if field is None:
        raise LimpidError(f"{source} has no 'prompt' (it has: {', '.join(row) or 'no fields'}).")
    value = row[field]
    messages = messages_of([{"role": "user", "content": value}] if isinstance(value, str) else value, field, source)
    expected = next((row[key] for key in ANSWERS if row.get(key) is not None), None)
    if messages[-1]["role"] == "assistant":
        expected = messages[-1]["content"] if expected is None else expected
        messages = messages[:-1]
    if not messages:
        raise LimpidError(f"'{field}' of {source} asks nothing: a message by the user is wanted.")
    if expected is not None and not isinstance(expected, str):
        raise LimpidError(
            f"the answer of {source} is {type(expected).__name__} {str(expected)[:40]!r}: a text is wanted."
        )
    kind = row.get("kind") or row.get("source") or ""
    return Question(messages, kind if isinstance(kind, str) else "", expected)


SCORES: Mapping[Grade, float] = {"right": 1.0, "admitted": 0.0, "wrong": -1.0}
"""What an answer that can be checked is worth. An admission is the right answer to a name that does not exist."""
