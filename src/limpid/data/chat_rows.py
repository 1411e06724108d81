"""Conversations as rows to learn from: rendered, cut or left out where they do not fit, and packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from limpid.core.errors import LimpidError
from limpid.data.batches import Batch
from limpid.data.chat_layouts import Chat
from limpid.data.packing import pack
from limpid.text.chat import render
from limpid.text.tokenizer import Tokenizer

TooLong = Literal["drop", "truncate"]
"""What happens to a conversation longer than the context: it is left out, or loses its end."""
UNTRAINED = "no token to learn from within the context: its prompt fills it, or all its answers weigh 0"


class Unfit(NamedTuple):
    """A conversation that did not go in as it is. source: ``FILE:LINE``. tokens: how many it has."""

    source: str
    tokens: int
    why: str


class ChatRows(NamedTuple):
    """batch: all rows, each of ``context`` predictions. conversations: how many there were.

    truncated: those whose end was cut off. dropped: those that are in no row.
    """

    batch: Batch
    conversations: int
    truncated: list[Unfit]
    dropped: list[Unfit]

    def note(self, context: int) -> str:
        """What the user should know of those that did not fit; "" where all did."""
        parts = []
        if self.truncated:
            parts.append(f"{len(self.truncated)} are longer than model.context = {context} and lose their end")
        untrained = [unfit for unfit in self.dropped if unfit.why == UNTRAINED]
        if longer := len(self.dropped) - len(untrained):
            parts.append(
                f"{longer} are longer than model.context = {context}: left out (sft.too_long=truncate cuts them)"
            )
        if untrained:
            parts.append(f"{len(untrained)} are left out, as {UNTRAINED} (the first: {untrained[0].source})")
        return f"of {self.conversations} conversations " + "; ".join(parts) if parts else ""


def chat_rows(chats: Iterable[Chat], tokenizer: Tokenizer, context: int, too_long: TooLong = "drop") -> ChatRows:
    """Render and pack conversations; every row has a token to learn from, and there may be no row.

    Raises:
        LimpidError: a conversation that the chat template cannot write; file and line are named.
    """
    truncated: list[Unfit] = []
    dropped: list[Unfit] = []
    seen = 0

    def fitting() -> Iterator[tuple[list[int], list[float]]]:
        nonlocal seen
        for chat in chats:
            seen += 1
            try:
                ids, weights = render(tokenizer, chat.messages, chat.tools)
            except LimpidError as error:
                raise LimpidError(f"{chat.source}: {error}") from None
            whole = len(ids)
            if whole - 1 > context:
                if too_long == "drop":
                    dropped.append(Unfit(chat.source, whole, f"longer than {context} tokens"))
                    continue
                ids, weights = ids[: context + 1], weights[: context + 1]
            if not any(weights[1:]):
                dropped.append(Unfit(chat.source, whole, UNTRAINED))
                continue
            if whole > len(ids):
                truncated.append(Unfit(chat.source, whole, f"cut to {len(ids)} tokens"))
            yield ids, weights

    batch = pack(fitting(), context, tokenizer.end_of_text)
    return ChatRows(batch, seen, truncated, dropped)
