"""The chat template: a conversation as token ids, with the weights that say which of them are learnt.

One way for every stage, the engine, the server and exports. A model that came from elsewhere brings its own template
(`chat_template`); limpid's is

<|endoftext|> [<|system|> ... <|end|>] (<|user|> ... <|end|> <|assistant|> ... <|end|>)*

Tools have no marks of their own in it: they stand in the system message, calls in the assistant's words and results in
a user's message (`tool_calls.as_text`), so that any vocabulary with the five marks can learn them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from limpid.core.errors import LimpidError
from limpid.text import chat_template
from limpid.text.tokenizer import Tokenizer
from limpid.text.tool_calls import as_text

Message = Mapping[str, Any]
"""role, content; of an assistant perhaps ``tool_calls`` as OpenAI's API has them, with arguments as an object or as
JSON, and ``weight`` 0 where its words are not to be learnt."""
T = TypeVar("T", bound=Message)
Tools = Sequence[Mapping[str, Any]]
"""Functions the assistant may call, as OpenAI's API has them."""
ROLES = ("system", "user", "assistant", "tool")


class RenderedChat(NamedTuple):
    """ids and, for each, 1.0 where it is the assistant's to produce (its words and the end of its turn), else 0.0."""

    ids: list[int]
    weights: list[float]


def render(tokenizer: Tokenizer, messages: Sequence[Message], tools: Tools = ()) -> RenderedChat:
    """Token ids of a whole conversation.

    Raises:
        LimpidError: no messages, an unknown role, or a message without text.
    """
    check_messages(messages)
    told, known = _told(tokenizer, messages, tools)
    if tokenizer.conventions is not None:
        return RenderedChat(*chat_template.render(tokenizer, tokenizer.conventions, told, known))
    opening = {"system": tokenizer.system, "user": tokenizer.user, "assistant": tokenizer.assistant}
    ids, weights = [tokenizer.end_of_text], [0.0]
    for message in told:
        body = tokenizer.encode(message["content"])
        learnt = 1.0 if is_learnt(message) else 0.0
        ids += [opening[message["role"]], *body, tokenizer.end_of_turn]
        weights += [0.0, *([learnt] * (len(body) + 1))]
    return RenderedChat(ids, weights)


def is_learnt(message: Message) -> bool:
    """Whether a message's words are the assistant's, and meant to be learnt from."""
    return message["role"] == "assistant" and bool(message.get("weight", 1))


def prompt(tokenizer: Tokenizer, messages: Sequence[Message], tools: Tools = ()) -> list[int]:
    """Token ids up to and including the mark after which the assistant speaks."""
    if tokenizer.conventions is not None:
        check_messages(messages)
        told, known = _told(tokenizer, messages, tools)
        return chat_template.prompt(tokenizer, tokenizer.conventions, told, known)
    return [*render(tokenizer, messages, tools).ids, tokenizer.assistant]


def _told(tokenizer: Tokenizer, messages: Sequence[Message], tools: Tools) -> tuple[Sequence[Message], Tools]:
    """Messages and tools for the template: as they are where it knows tools, else with all of it in words."""
    if tokenizer.conventions is not None and chat_template.knows_tools(tokenizer.conventions):
        return messages, tools
    return as_text(messages, tools), ()


def fitting_prompt(tokenizer: Tokenizer, messages: Sequence[Message], room: int, tools: Tools = ()) -> list[int]:
    """`prompt`, with the oldest turns (never a system message) left out until it has at most ``room`` tokens.

    Raises:
        LimpidError: the last message alone is too long.
    """
    system = [m for m in messages if m["role"] == "system"]
    turns = [m for m in messages if m["role"] != "system"]
    ids, _ = newest(turns, lambda kept: prompt(tokenizer, [*system, *kept], tools), fits=lambda ids: len(ids) <= room)
    if len(ids) > room:
        raise LimpidError(f"the message is {len(ids)} tokens long and this model has room for {room}; shorten it.")
    return ids


def newest(
    turns: Sequence[T], write: Callable[[Sequence[T]], list[int]], *, fits: Callable[[list[int]], bool]
) -> tuple[list[int], int]:
    """What ``write`` makes of as many of the newest turns as fit, and how many older ones were left out.

    What is left begins with a user's turn, or is the last one alone, which is written whether it fits or not. Where to
    begin is found by halving: the longer the conversation, the less of it may be written again and again.
    """
    ids = write(turns)
    if fits(ids) or len(turns) < 2:
        return ids, 0
    last = len(turns) - 1
    begins = [place for place in range(1, last) if turns[place]["role"] == "user"]
    low, high = (
        0,
        len(begins),
    )  # what begins before ``low`` does not fit; at ``high`` it does, or is the last turn alone
    found: list[int] | None = None
    while low < high:
        middle = (low + high) // 2
        if fits(ids := write(turns[begins[middle] :])):
            found, high = ids, middle
        else:
            low = middle + 1
    return (found, begins[high]) if found is not None else (write(turns[last:]), last)


def check_messages(messages: Sequence[Message]) -> None:
    """Raise LimpidError where a conversation is empty or a message lacks a known role or its text."""
    if not messages:
        raise LimpidError("the conversation is empty; give at least one message.")
    for number, message in enumerate(messages, start=1):
        if message.get("role") not in ROLES:
            raise LimpidError(f"message {number} has the role {message.get('role')!r}; it must be one of {ROLES}.")
        calls = message["role"] == "assistant" and message.get("tool_calls")
        if not isinstance(message.get("content"), str) and not (calls and message.get("content") is None):
            raise LimpidError(f"message {number} has no text in 'content'.")


class Answered(NamedTuple):
    """ids up to the end of the last answer's turn, which begins at ``start``: the answer is ``ids[start:]``."""

    ids: list[int]
    start: int


def answered(tokenizer: Tokenizer, messages: Sequence[Message], answer: str) -> Answered:
    """Token ids of a conversation that ``answer`` ends: its words and the end of its turn are the last ids.

    Raises:
        LimpidError: as `render`; or the chat template does not say which tokens are the answer's.
    """
    ids, weights = render(tokenizer, [*messages, {"role": "assistant", "content": answer}])
    end = max((place for place, weight in enumerate(weights) if weight), default=-1) + 1
    start = end
    while start and weights[start - 1]:
        start -= 1
    if start == end:
        raise LimpidError("the model's chat template does not tell the assistant's tokens from the others.")
    return Answered(ids[:end], start)
