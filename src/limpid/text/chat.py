"""The chat template: a conversation as token ids, with the weights that say which of them are learnt.

A model that came from elsewhere brings its own template (`chat_template`); limpid's is

<|endoftext|> [<|system|> ... <|end|>] (<|user|> ... <|end|> <|assistant|> ... <|end|>)*
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from limpid.core.errors import LimpidError
from limpid.text import chat_template
from limpid.text.tokenizer import Tokenizer

Message = Mapping[str, str]
ROLES = ("system", "user", "assistant")


class RenderedChat(NamedTuple):
    """ids and, for each, 1.0 where it is the assistant's to produce (its words and the end of its turn), else 0.0."""

    ids: list[int]
    weights: list[float]


def render(tokenizer: Tokenizer, messages: Sequence[Message]) -> RenderedChat:
    """Token ids of a whole conversation.

    Raises:
        LimpidError: no messages, an unknown role, or a message without text.
    """
    check_messages(messages)
    if tokenizer.conventions is not None:
        return RenderedChat(*chat_template.render(tokenizer, tokenizer.conventions, messages))
    opening = {"system": tokenizer.system, "user": tokenizer.user, "assistant": tokenizer.assistant}
    ids, weights = [tokenizer.end_of_text], [0.0]
    for message in messages:
        body = tokenizer.encode(message["content"])
        learnt = 1.0 if message["role"] == "assistant" else 0.0
        ids += [opening[message["role"]], *body, tokenizer.end_of_turn]
        weights += [0.0, *([learnt] * (len(body) + 1))]
    return RenderedChat(ids, weights)


def prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Token ids up to and including the mark after which the assistant speaks."""
    if tokenizer.conventions is not None:
        check_messages(messages)
        return chat_template.prompt(tokenizer, tokenizer.conventions, messages)
    return [*render(tokenizer, messages).ids, tokenizer.assistant]


def fitting_prompt(tokenizer: Tokenizer, messages: Sequence[Message], room: int) -> list[int]:
    """`prompt`, with the oldest turns (never a system message) left out until it has at most ``room`` tokens.

    Raises:
        LimpidError: the last message alone is too long.
    """
    system = [m for m in messages if m["role"] == "system"]
    turns = [m for m in messages if m["role"] != "system"]
    while True:
        ids = prompt(tokenizer, [*system, *turns])
        if len(ids) <= room:
            return ids
        if len(turns) <= 1:
            raise LimpidError(f"the message is {len(ids)} tokens long and this model has room for {room}; shorten it.")
        turns = turns[1:]
        while len(turns) > 1 and turns[0]["role"] != "user":
            turns = turns[1:]


def check_messages(messages: Sequence[Message]) -> None:
    """Raise LimpidError where a conversation is empty or a message lacks a known role or its text."""
    if not messages:
        raise LimpidError("the conversation is empty; give at least one message.")
    for number, message in enumerate(messages, start=1):
        if message.get("role") not in ROLES:
            raise LimpidError(f"message {number} has the role {message.get('role')!r}; it must be one of {ROLES}.")
        if not isinstance(message.get("content"), str):
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
