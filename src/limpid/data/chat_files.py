"""Conversations out of JSON lines: what supervised fine-tuning on the user's own data reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limpid.core.errors import LimpidError
from limpid.data.sources import find_files, is_whole, records

Message = dict[str, str]

SHAPES = (
    '{"messages": [{"role": ..., "content": ...}, ...]}, {"prompt", "completion"}, {"prompt", "response"} '
    'or {"instruction", "input", "output"}'
)


def read_conversations(path: str) -> Iterator[list[Message]]:
    """The conversations of a file, folder or glob of ``.jsonl`` or ``.json`` (gzipped or not).

    A row is ``{"messages": [...]}``, ``{"prompt", "completion"}``, ``{"prompt", "response"}`` or ``{"instruction",
    "input", "output"}`` (an empty or absent ``input`` is left out; otherwise it follows the instruction after an empty
    line). Yields lists of ``{"role", "content"}``: an optional system message, then user and assistant in turn, the
    assistant last. Raises LimpidError, with file and line, on a row that is anything else, and when there is none.
    """
    found = False
    for file in find_files(path):
        if not file.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
            raise LimpidError(f"{file} is no file of conversations: .jsonl or .json (or .gz of them) is wanted.")
        for record in records(file):
            found = True
            yield _conversation(record.fields, record.source)
    if not found:
        raise LimpidError(f"{path} holds no conversations: a row is {SHAPES}.")


def _conversation(row: Mapping[str, Any], source: str) -> list[Message]:
    if "messages" in row:
        return _checked(row["messages"], source)
    if "prompt" in row:
        answer = next((key for key in ("completion", "response") if key in row), None)
        if answer is None:
            raise LimpidError(f"{source} has a 'prompt' but no 'completion' or 'response': add one.")
        prompt = row["prompt"]
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        if not isinstance(prompt, list):
            raise LimpidError(f"'prompt' of {source} is neither a text nor a list of messages.")
        return _checked([*prompt, {"role": "assistant", "content": row[answer]}], source)
    if "instruction" in row and "output" in row:
        question = row["instruction"]
        extra = row.get("input") or ""
        if not isinstance(question, str) or not isinstance(extra, str):
            raise LimpidError(f"'instruction' and 'input' of {source} must be texts.")
        question = f"{question}\n\n{extra}" if extra else question
        return _checked(
            [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}], source
        )
    raise LimpidError(f"{source} is no conversation (it has: {', '.join(row) or 'no fields'}): a row is {SHAPES}.")


def _checked(messages: Any, source: str) -> list[Message]:
    """`messages` with nothing but role and content; raises LimpidError at the first one out of order."""
    if not isinstance(messages, list) or not messages:
        raise LimpidError(f"'messages' of {source} must be a list with something in it.")
    checked: list[Message] = []
    for number, message in enumerate(messages, start=1):
        where = f"Message {number} of {source}"
        if not isinstance(message, dict) or "role" not in message or "content" not in message:
            raise LimpidError(f"{where} must have 'role' and 'content'.")
        role, content = message["role"], message["content"]
        if role not in ("system", "user", "assistant"):
            raise LimpidError(f"{where} has the role {str(role)[:40]!r}: system, user or assistant is wanted.")
        if not isinstance(content, str) or not content.strip():
            raise LimpidError(f"{where} ({role}) is empty or no text.")
        if not is_whole(content):
            raise LimpidError(f"{where} ({role}) holds half of a surrogate pair, which is no character: mend the row.")
        before = checked[-1]["role"] if checked else None
        expected = "assistant" if before == "user" else "user"
        if role != expected and not (role == "system" and before is None):
            raise LimpidError(f"{where} is by the {role} where the {expected}'s turn is: user and assistant alternate.")
        checked.append({"role": role, "content": content})
    if checked[-1]["role"] != "assistant":
        raise LimpidError(
            f"The last message of {source} is by the {checked[-1]['role']}: an assistant's answer must end it."
        )
    return checked
