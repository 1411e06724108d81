"""The layouts in which people keep conversations, read into one: a list of messages, and the tools there were.

A row is one of

* ``{"messages": [{"role", "content"}, ...], "tools": [...]}``, OpenAI's, with calls and results of tools;
* ``{"conversations": [{"from": "human" | "gpt" | ..., "value"}, ...], "system", "tools"}``, ShareGPT's;
* ``{"instruction", "input", "output", "system", "history"}``, Alpaca's;
* ``{"prompt", "completion"}``, ``{"prompt", "response"}`` or ``{"question", "answer"}``; a prompt, and a completion,
  may be a list of messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.data.sources import is_whole

Message = dict[str, Any]
"""role, content; perhaps tool_calls (arguments as an object), tool_call_id, name, weight: see `text.chat.Message`."""
Row = Mapping[str, Any]


class Chat(NamedTuple):
    """messages: an optional system message, then user and assistant in turn, the assistant last; a tool's results
    follow the call. tools: functions there were, as OpenAI's API has them. source: ``FILE:LINE``."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    source: str


LAYOUTS = (
    '{"messages": [{"role", "content"}, ...]}, {"conversations": [{"from", "value"}, ...]}, '
    '{"instruction", "input", "output"}, {"prompt", "completion"} or {"question", "answer"}'
)
ANSWERED: dict[str, tuple[str, ...]] = {"prompt": ("completion", "response"), "question": ("answer",)}
"""The field of what is asked -> those that its answer may stand in."""
SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "system": "system", "tool": "tool", "observation": "tool", "function_response": "tool",
    "function_call": "function_call",
}  # fmt: skip
"""ShareGPT's names of who speaks -> the role; a function_call is an assistant's message that is a call."""
ROLES = ("system", "user", "assistant", "tool")


def read_chat(row: Row, source: str) -> Chat:
    """The conversation of one row.

    Raises:
        LimpidError: no known layout, or a field that does not fit it; the message names ``source`` and the field.
    """
    there = {key: value for key, value in row.items() if value is not None}  # a table has every column in every row
    tools = _tools(there.get("tools"), source)
    return Chat(_checked(_reader(there, source)(there, source), source), tools, source)


def _reader(row: Row, source: str) -> Callable[[Row, str], list[Message]]:
    if "messages" in row or "conversations" in row:
        return _turns
    if "instruction" in row and "output" in row:
        return _alpaca
    for asked, answers in ANSWERED.items():
        if asked in row:
            if not any(answer in row for answer in answers):
                wanted = " or ".join(f"'{answer}'" for answer in answers)
                raise LimpidError(f"{source} has a '{asked}' but no {wanted}: add one.")
            return _pair
    raise LimpidError(f"{source} is no conversation (it has: {', '.join(row) or 'no fields'}): a row is {LAYOUTS}.")


def _turns(row: Row, source: str) -> list[Message]:
    """``messages`` or ``conversations``; what stands in them, roles or speakers, need not follow the field's name."""
    field = "messages" if "messages" in row else "conversations"
    turns = row[field]
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise LimpidError(f"'{field}' of {source} must be a list with something in it.")
    messages = [_message(turn, f"Message {number} of {source}") for number, turn in enumerate(turns, start=1)]
    return [*_system(row, source, messages), *messages]


def _alpaca(row: Row, source: str) -> list[Message]:
    question, extra = _text(row, "instruction", source), _text(row, "input", source, optional=True)
    history = row.get("history") or []
    if not all(isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2 for pair in history):
        raise LimpidError(f"'history' of {source} must be a list of pairs of a question and its answer.")
    asked = f"{question}\n\n{extra}" if extra else question
    pairs = [*history, (asked, row["output"])]
    messages = [m for pair in pairs for m in (_said("user", pair[0]), _said("assistant", pair[1]))]
    return [*_system(row, source, messages), *messages]


def _pair(row: Row, source: str) -> list[Message]:
    asked = next(field for field in ANSWERED if field in row)
    answer = next(field for field in ANSWERED[asked] if field in row)
    messages: list[Message] = []
    for field, role in ((asked, "user"), (answer, "assistant")):
        value = row[field]
        if isinstance(value, str):
            messages.append(_said(role, value))
        elif isinstance(value, Sequence):
            messages += [
                _message(turn, f"Message {number} of '{field}' of {source}") for number, turn in enumerate(value, 1)
            ]
        else:
            raise LimpidError(f"'{field}' of {source} is neither a text nor a list of messages.")
    return [*_system(row, source, messages), *messages]


def _said(role: str, content: Any) -> Message:
    return {"role": role, "content": content}


def _system(row: Row, source: str, messages: Sequence[Message]) -> list[Message]:
    """The row's own system message, where it has one and the conversation does not begin with another."""
    text = _text(row, "system", source, optional=True)
    if text and messages and messages[0]["role"] == "system":
        raise LimpidError(f"{source} has a 'system' field and a system message as well: keep one of them.")
    return [_said("system", text)] if text else []


def _text(row: Row, field: str, source: str, *, optional: bool = False) -> str:
    value = row.get(field, "" if optional else None)
    if not isinstance(value, str):
        raise LimpidError(f"'{field}' of {source} must be a text.")
    return value


def _message(turn: Any, where: str) -> Message:
    """One message of either kind, with the keys we know."""
    if not isinstance(turn, Mapping):
        raise LimpidError(f"{where} must be an object with 'role' and 'content'.")
    if "from" in turn and "role" not in turn:
        speaker = turn["from"]
        if speaker not in SPEAKERS:
            hint = did_you_mean(str(speaker)[:40], SPEAKERS)
            raise LimpidError(f"{where} is from {str(speaker)[:40]!r}, and nobody is called so.{hint}")
        if "value" not in turn:
            raise LimpidError(f"{where} must have 'from' and 'value'.")
        if SPEAKERS[speaker] == "function_call":
            calls = _calls(_from_json(turn["value"], where, "value"), where, "value")
            return _said("assistant", "") | {"tool_calls": calls}
        return _said(SPEAKERS[speaker], turn["value"])
    if "role" not in turn or ("content" not in turn and not turn.get("tool_calls")):
        raise LimpidError(f"{where} must have 'role' and 'content'.")
    role = "system" if turn["role"] == "developer" else turn["role"]
    message = _said(role, _content(turn.get("content"), where))
    if turn.get("tool_calls"):
        message["tool_calls"] = _calls(turn["tool_calls"], where, "tool_calls")
    for key in ("tool_call_id", "name"):
        if isinstance(turn.get(key), str):
            message[key] = turn[key]
    if turn.get("weight") is not None:
        if turn["weight"] not in (0, 1):
            raise LimpidError(f"'weight' of {where} must be 0 (read, not learnt) or 1, and is {turn['weight']!r}.")
        message["weight"] = int(turn["weight"])
    return message


def _content(value: Any, where: str) -> Any:
    """A text; or OpenAI's list of parts, if all are texts."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return value
    for part in value:
        if not isinstance(part, Mapping) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise LimpidError(f"'content' of {where} holds a part that is no text; limpid reads text only.")
    return "".join(part["text"] for part in value)


def _calls(value: Any, where: str, field: str) -> list[dict[str, Any]]:
    """Calls as OpenAI has them, or bare ``{"name", "arguments"}``; arguments end up as an object."""
    found = value if isinstance(value, list) else [value]
    calls = []
    for item in found:
        function = item.get("function", item) if isinstance(item, Mapping) else {}
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise LimpidError(f"'{field}' of {where} holds a call without a function's name.")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            arguments = _from_json(arguments or "{}", where, f"{field} arguments")
        if not isinstance(arguments, Mapping):
            raise LimpidError(f"'{field}' of {where}: the arguments of {function['name']} are no JSON object.")
        call = {"type": "function", "function": {"name": function["name"], "arguments": dict(arguments)}}
        calls.append(call | ({"id": item["id"]} if isinstance(item.get("id"), str) else {}))
    return calls


def _tools(value: Any, source: str) -> list[dict[str, Any]]:
    """A list of functions, or that list as JSON in a text (as Parquet files and ShareGPT have it)."""
    if not value:
        return []
    found = _from_json(value, source, "tools") if isinstance(value, str) else value
    if not isinstance(found, list):
        raise LimpidError(f"'tools' of {source} must be a list of functions.")
    tools = []
    for tool in found:
        function = tool.get("function", tool) if isinstance(tool, Mapping) else {}
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise LimpidError(f"'tools' of {source} holds something without a function's name.")
        tools.append({"type": "function", "function": dict(function)})
    return tools


def _from_json(text: Any, where: str, field: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise LimpidError(f"'{field}' of {where} is no JSON.") from None


def _checked(messages: list[Message], source: str) -> list[Message]:
    """`messages`; raises LimpidError at the first one that is empty or out of order."""
    before: Message = {"role": ""}
    for number, message in enumerate(messages, start=1):
        where = f"Message {number} of {source}"
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise LimpidError(f"{where} has the role {str(role)[:40]!r}: {', '.join(ROLES)} are wanted.")
        if not isinstance(content, str) or not (content.strip() or role == "tool" or message.get("tool_calls")):
            raise LimpidError(f"{where} ({role}) is empty or no text.")
        if not is_whole(content):
            raise LimpidError(f"{where} ({role}) holds half of a surrogate pair, which is no character: mend the row.")
        if "tool_calls" in message and role != "assistant":
            raise LimpidError(f"{where} is by the {role} and has 'tool_calls': only the assistant calls tools.")
        expected = _next(before)
        if role not in expected:
            raise LimpidError(
                f"{where} is by the {role} where the {expected[0]}'s turn is: user and assistant alternate, and a tool "
                "answers a call."
            )
        before = message
    if before["role"] != "assistant":
        raise LimpidError(
            f"The last message of {source} is by the {before['role']}: an assistant's answer must end it."
        )
    return messages


def _next(before: Message) -> tuple[str, ...]:
    """Who may speak after a message."""
    if before["role"] == "assistant":
        return ("tool",) if before.get("tool_calls") else ("user",)
    return {"": ("user", "system"), "system": ("user",), "user": ("assistant",), "tool": ("assistant", "tool")}[
        before["role"]
    ]
