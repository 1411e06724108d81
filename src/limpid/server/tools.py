"""Calls of tools in an answer: forced by a grammar, or found in what the model says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from limpid.server.answer import Finish
from limpid.server.requests import ChatBody, NamedTool
from limpid.text.tool_calls import OPEN, CallReader, ToolCall


class CallStyle(NamedTuple):
    """How a model writes a call. tagged: between <tool_call> and </tool_call>, not as bare JSON. arguments: its key."""

    tagged: bool
    arguments: str


class Forced(NamedTuple):
    """A call that must come. prefix: what the model is made to have said. schema: what it must say then.

    name: the function, where only one may be called; the answer is then its arguments alone.
    """

    prefix: str
    schema: dict[str, Any]
    name: str | None


class FunctionPart(TypedDict, total=False):
    name: str
    arguments: str


class CallPart(TypedDict, total=False):
    """A call, or a part of it in a stream."""

    index: int
    id: str
    type: str
    function: FunctionPart


def call_style(template: str | None) -> CallStyle:
    """The style of a chat template that knows tools; None: of limpid's own telling (`tool_calls.as_text`)."""
    if template is None or OPEN in template:
        return CallStyle(tagged=True, arguments="arguments")
    return CallStyle(tagged=False, arguments="parameters" if '"parameters"' in template else "arguments")


def forced_schema(body: ChatBody, style: CallStyle) -> Forced | None:
    """What ``tool_choice`` forces, or None."""
    choice = body.tool_choice
    if choice in (None, "none", "auto"):
        return None
    parameters = {tool.function.name: tool.function.parameters or {"type": "object"} for tool in body.tools or ()}
    opening = f"{OPEN}\n" if style.tagged else ""
    names = [choice.function.name] if isinstance(choice, NamedTool) else list(parameters)
    if len(names) == 1:
        (name,) = names
        return Forced(f'{opening}{{"name": {json.dumps(name)}, "{style.arguments}": ', parameters[name], name)
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, style.arguments: {"$id": f"limpid:{number}"} | parameters[name]},
            "required": ["name", style.arguments],
            "additionalProperties": False,
        }
        for number, name in enumerate(names)
    ]
    return Forced(opening, {"anyOf": calls}, None)


class MessageReader:
    """Turns the text of one chat answer into content and calls, as it comes in.

    called: whether there was a call.
    """

    def __init__(self, body: ChatBody, style: CallStyle) -> None:
        self._forced = forced_schema(body, style)
        self._reader: CallReader | None = None
        names = {tool.function.name for tool in body.tools or ()}
        if self._forced is not None and self._forced.name is None:
            self._reader = CallReader(names, tagged=False)
        elif self._forced is None and names and body.tool_choice != "none":
            self._reader = _auto(names, style)
        self.calls = 0

    @property
    def called(self) -> bool:
        return self.calls > 0

    def push(self, text: str, finish: Finish | None) -> tuple[str, list[CallPart]]:
        """The content that can be shown, and the calls or parts of calls."""
        if self._forced is not None and self._forced.name is not None:
            return "", self._named(self._forced.name, text)
        if self._reader is None:
            return text, []
        content, calls = self._reader.push(text)
        if finish is not None:
            more, late = self._reader.flush()
            content, calls = content + more, calls + late
        return content, [self._part(call) for call in calls]

    def _named(self, name: str, text: str) -> list[CallPart]:
        """The answer is one call's arguments, passed on as they come."""
        if not self.called:
            return [self._part(ToolCall(name, text))]
        return [{"index": 0, "function": {"arguments": text}}] if text else []

    def _part(self, call: ToolCall) -> CallPart:
        self.calls += 1
        return {
            "index": self.calls - 1, "id": f"call_{secrets.token_hex(12)}", "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }  # fmt: skip


def _auto(names: Collection[str], style: CallStyle) -> CallReader:
    return CallReader(names, tagged=style.tagged)


def joined(parts: list[CallPart]) -> list[CallPart]:
    """Parts of calls put together, without their numbers, as an unstreamed message has them."""
    calls: list[CallPart] = []
    for part in parts:
        if "id" in part:
            calls.append({"id": part["id"], "type": part["type"], "function": {**part["function"]}})
        else:
            calls[part["index"]]["function"]["arguments"] += part["function"]["arguments"]
    return calls
