"""Tools: told to models whose template has no place for them, and found again in what a model says.

The form is the one that Hermes and Qwen models learn: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``.
Models of other makes say the bare JSON object (Llama 3, with "parameters") or a list of them (Mistral).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from limpid.text.streaming import StopStrings

OPEN, CLOSE = "<tool_call>", "</tool_call>"


class ToolCall(NamedTuple):
    """A function the model wants called, with its arguments as JSON."""

    name: str
    arguments: str


def as_text(messages: Iterable[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same conversation for a template that knows neither tools nor their results.

    Tools stand in the system message, calls in the assistant's words, results that follow each other in one user's
    message. `chat_template.LIMPID` says the same in Jinja.

    Args:
        messages: with ``tool_calls`` as the API has them, arguments as objects or as JSON. tools: as the API has them.
    """
    told: list[dict[str, Any]] = []
    before = ""
    for message in messages:
        content, role = message.get("content") or "", message["role"]
        if role == "tool":
            result = f"<tool_response>\n{content}\n</tool_response>"
            if before == "tool":
                told[-1]["content"] += f"\n{result}"
            else:
                told.append({"role": "user", "content": result})
        else:
            calls = [_written(call["function"]) for call in message.get("tool_calls") or ()]
            said = "\n".join([*([content] if content else []), *calls])
            told.append(
                {"role": role, "content": said} | ({"weight": message["weight"]} if "weight" in message else {})
            )
        before = role
    if not tools:
        return told
    if told and told[0]["role"] == "system":
        return [{"role": "system", "content": f"{told[0]['content']}\n\n{_introduction(tools)}"}, *told[1:]]
    return [{"role": "system", "content": _introduction(tools)}, *told]


class CallReader:
    """Separates what a model says from the calls in it, as the text comes in.

    tagged: calls stand between `OPEN` and `CLOSE`; else an answer that begins with a brace or bracket may be calls.
    names: the functions there are; what names another is text.
    """

    def __init__(self, names: Collection[str], *, tagged: bool) -> None:
        self._names, self._tagged = names, tagged
        self._held = ""
        self._inside = False
        self._watch = StopStrings([OPEN])
        self._said = False
        self._called = False  # a call was the last thing that was said

    def push(self, text: str) -> tuple[str, list[ToolCall]]:
        """The text that can be shown now, and the calls that are complete."""
        if not self._tagged:
            if self._said or (text.strip() and not self._held and text.lstrip()[0] not in "{["):
                self._said = True
                return text, []
            self._held += text
            return "", []
        content, calls = "", []
        while text or self._inside:
            if not self._inside:
                content += self._shown(self._watch.push(text))
                text = ""
                if self._watch.stopped is None:
                    break
                text, self._held = self._watch.rest, ""
                self._inside = True
            self._held += text
            text = ""
            body, close, rest = self._held.partition(CLOSE)
            if not close:
                break
            found = self._read(body)
            calls += found
            content += "" if found else self._shown(OPEN + body + CLOSE)
            self._called = self._called or bool(found)
            self._inside, self._held, self._watch, text = False, "", StopStrings([OPEN]), rest
        return content, calls

    def flush(self) -> tuple[str, list[ToolCall]]:
        """What is left when the answer has ended."""
        if self._inside or not self._tagged:
            calls = self._read(self._held)
            left = "" if calls else (OPEN if self._inside else "") + self._held
        else:
            calls, left = [], self._watch.flush()
        self._held, self._inside = "", False
        return self._shown(left), calls

    def _shown(self, content: str) -> str:
        """Without the line breaks behind a call, which are no text."""
        if self._called:
            content = content.lstrip()
            self._called = not content
        return content

    def _read(self, text: str) -> list[ToolCall]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return []
        calls = [self._call(item) for item in (found if isinstance(found, list) else [found])]
        return [call for call in calls if call] if all(calls) else []

    def _call(self, item: Any) -> ToolCall | None:
        if not isinstance(item, dict) or item.get("name") not in self._names:
            return None
        arguments = item.get("arguments", item.get("parameters", {}))
        if not isinstance(arguments, dict):
            return None
        return ToolCall(item["name"], json.dumps(arguments, ensure_ascii=False))


def _written(function: Mapping[str, Any]) -> str:
    arguments = function["arguments"]
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return f'{OPEN}\n{{"name": {json.dumps(function["name"], ensure_ascii=False)}, "arguments": {arguments}}}\n{CLOSE}'


def _introduction(tools: Sequence[Mapping[str, Any]]) -> str:
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return (
        f"You may call these functions:\n<tools>\n{lines}\n</tools>\n"
        f'To call one, say:\n{OPEN}\n{{"name": NAME, "arguments": {{...}}}}\n{CLOSE}'
    )
