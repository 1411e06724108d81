"""POST /api/talk: an answer as the app's own page wants it, every token with its numbers.

The stream's first record is the prompt as the model reads it, then come the tokens, then the end. An answer may begin
with given token ids (``prefix``): so it is continued, or forked at another candidate, and nothing is tokenised anew.

Tokens come one record each, in words that explain themselves; or ``packed``, as the page asks for them: what came
within `PAUSE_SECONDS` together, as rows of numbers. Tokens then cost the server and its readers a fraction, which
matters where they share the cores with the model.
"""

from __future__ import annotations

import base64
import functools
import json
import struct
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, NamedTuple
from weakref import WeakKeyDictionary

from pydantic import Field
from starlette.responses import Response

from limpid.server.answer import Answer, Reply, ShownToken
from limpid.server.errors import bad_request
from limpid.server.models import ServedModel
from limpid.server.requests import ALTERNATIVES, ChatMessage, GenerationBody
from limpid.server.stream import EventStream, Json, event, in_thread
from limpid.text.chat import newest
from limpid.text.tokenizer import Tokenizer

PAUSE_SECONDS = 0.05
"""Packed tokens are sent at once, and then so long nothing: a page draws no more often."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_fields: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
_spellings: WeakKeyDictionary[Tokenizer, dict[int, str]] = WeakKeyDictionary()
_quoted = json.JSONEncoder(ensure_ascii=False).encode


class PromptBody(GenerationBody):
    """What is asked: a conversation, or a text to go on with. prefix: token ids that the answer begins with."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    prompt: str | None = None
    prefix: list[Annotated[int, Field(ge=0)]] | None = None

    def check(self) -> None:
        super().check()
        if (self.prompt is None) == (self.messages is None):
            raise bad_request("Give either 'prompt' or 'messages'.", "prompt")


class TalkBody(PromptBody):
    """alternatives: how many candidates are told of for each token. packed: see `_Packer`."""

    alternatives: Annotated[int, Field(ge=1, le=ALTERNATIVES)] = ALTERNATIVES
    packed: bool = False


class Prompt(NamedTuple):
    """ids: what the model reads, without the prefix. dropped: how many old messages no longer fit into its context."""

    ids: list[int]
    prefix: list[int]
    dropped: int


async def talk(model: ServedModel, body: TalkBody) -> Response:
    """The stream of records."""
    answering = await in_thread(_Answering, model, body)
    reply = model.runner.submit([answering.answer], pause=PAUSE_SECONDS if body.packed else 0.0)
    return EventStream(reply, answering.events(reply))


async def tell_prompt(model: ServedModel, body: PromptBody) -> Response:
    """The prompt of a request, token by token, as the model would read it."""
    return Json(await in_thread(_told, model, body))


def _told(model: ServedModel, body: PromptBody) -> dict[str, Any]:
    found = read_prompt(model, body)
    tokens = ",".join(f"{{{spelt(model.tokenizer, i)}}}" for i in [*found.ids, *found.prefix])
    return {
        "model": model.name, "count": len(found.ids) + len(found.prefix), "context": model.context,
        "dropped": found.dropped, "text": written(model.tokenizer, [*found.ids, *found.prefix]),
        "tokens": json.loads(f"[{tokens}]"),
    }  # fmt: skip


def read_prompt(model: ServedModel, body: PromptBody) -> Prompt:
    """Token ids of what is asked; of a conversation too long for the context, the oldest turns are left out.

    A quarter of the context, or ``max_tokens`` if that is less, is kept for the answer. System messages stay.

    Raises:
        ApiError: the text, or the last message alone, leaves no room for an answer.
    """
    prefix = model.prompt_ids(body.prefix or [], "prefix")
    if body.messages is None:
        ids = model.prompt_ids(body.prompt or "", "prompt") or [model.tokenizer.end_of_text]
        _check_room(model, len(ids) + len(prefix), model.context - 1, "prompt")
        return Prompt(ids, prefix, 0)
    turns = [{"role": "system" if m.role == "developer" else m.role, "content": m.content or ""} for m in body.messages]
    for turn in turns:
        model.check_length(turn["content"], "messages")
    kept = model.context - max(1, min(body.max_tokens or model.context, model.context // 4))
    rules = [turn for turn in turns if turn["role"] == "system"]
    said = [turn for turn in turns if turn["role"] != "system"]
    ids, dropped = newest(
        said, lambda left: model.chat_ids([*rules, *left], []),
        fits=lambda ids: len(ids) <= kept and len(ids) + len(prefix) < model.context,
    )  # fmt: skip
    _check_room(model, len(ids), kept, "messages")
    _check_room(model, len(ids) + len(prefix), model.context - 1, "prefix")
    return Prompt(ids, prefix, dropped)


def _check_room(model: ServedModel, tokens: int, room: int, param: str) -> None:
    if tokens > room:
        raise bad_request(
            f"This is {tokens} tokens long, {tokens - room} too many: of its context of {model.context} tokens the "
            f"model has {room} for what it reads. Shorten it.",
            param,
            "context_length_exceeded",
        )


class _Answering:
    """One answer on its way to the page."""

    def __init__(self, model: ServedModel, body: TalkBody) -> None:
        model.check_speaks()
        tokenizer = model.tokenizer
        if body.messages is not None and not tokenizer.can_chat:
            raise bad_request("This model's vocabulary has no marks for a conversation; give it a text to go on with.")
        self.model, self.prompt = model, read_prompt(model, body)
        room = model.context - len(self.prompt.ids) - len(self.prompt.prefix)
        self.sampling = body.sampling(min(body.max_tokens or room, room), body.alternatives, tokenizer.vocab_size)
        stops = tokenizer.text_stops if body.messages is None else tokenizer.chat_stops
        self.answer: Answer = model.token_answer(self.prompt.ids, self.prompt.prefix, self.sampling, stops)
        self.write = _Packer(tokenizer) if body.packed else functools.partial(_records, tokenizer)

    async def events(self, reply: Reply) -> AsyncIterator[bytes]:
        model, tokenizer, prompt = self.model, self.model.tokenizer, self.prompt
        yield event(
            {"type": "prompt", "model": model.name, "fingerprint": model.fingerprint, "context": model.context,
             "text": written(tokenizer, prompt.ids), "tokens": len(prompt.ids), "prefix": len(prompt.prefix),
             "dropped": prompt.dropped, "seed": self.sampling.seed}
        )  # fmt: skip
        async for batch in reply.batches():
            if tokens := [token for piece in batch for token in piece.tokens]:
                yield self.write(tokens)
            if (finish := batch[-1].finish) is not None:
                yield event(self._end(finish))

    def _end(self, finish: str) -> dict[str, Any]:
        answer = self.answer
        first, last = answer.began or time.perf_counter(), answer.spoke or time.perf_counter()
        said, seconds = answer.completion_tokens, last - first
        pace = (said - 1) / seconds if said > 1 and seconds > 0 else said / max(last - answer.asked, 1e-9)
        return {
            "type": "end", "finish": finish, "first_seconds": first - answer.asked, "seconds": seconds,
            "tokens_per_second": pace,
            "usage": {"prompt_tokens": len(self.prompt.ids), "prefix_tokens": len(self.prompt.prefix),
                      "completion_tokens": said},
        }  # fmt: skip


class _Packer:
    """Writes some tokens as one event: {"type": "tokens", "spellings": {id: [bytes, text, special]}, "rows": [...]}.

    A row is what `record` says, without names: id, bytes, text, special, logprob, entropy, rank, candidates; these are
    n ids (int32), n probabilities and n chances (float32), little-endian, in base64. A stream spells each candidate
    once, in the event where it first stands.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._special = tokenizer, tokenizer.special_ids
        self._known = _spellings.setdefault(tokenizer, {})
        self._spelt: set[int] = set()

    def __call__(self, tokens: Sequence[ShownToken]) -> bytes:
        fresh: set[int] = set()
        rows = []
        for token in tokens:
            ids, probabilities = zip(*token.alternatives, strict=True)
            fresh.update(ids)
            count = len(ids)
            raw = struct.pack(f"<{count}i{2 * count}f", *ids, *probabilities, *token.chances)
            special = int(token.token_id in self._special)
            text = _quoted(token.text.replace(REPLACEMENT, ""))
            rows.append(
                f'[{token.token_id},"{token.raw.hex()}",{text},{special},{token.logprob:.9g},'
                f'{token.entropy or 0.0:.9g},{token.rank or 0},"{base64.b64encode(raw).decode()}"]'
            )
        fresh -= self._spelt
        self._spelt |= fresh
        for i in fresh - self._known.keys():
            self._known[i] = f'"{i}":{spelling(self._tokenizer, i)}'
        spellings = ",".join([self._known[i] for i in fresh])
        return f'data: {{"type":"tokens","spellings":{{{spellings}}},"rows":[{",".join(rows)}]}}\n\n'.encode()


def spelling(tokenizer: Tokenizer, token_id: int) -> str:
    """A token by itself, as JSON: [bytes, text, special]; text: null where its bytes are no whole characters."""
    raw = tokenizer.token_bytes(token_id)
    special = int(token_id in tokenizer.special_ids)
    return f'["{raw.hex()}",{_quoted(_whole(raw))},{special}]'


def _records(tokenizer: Tokenizer, tokens: Sequence[ShownToken]) -> bytes:
    """One event a token."""
    return "".join(f"data: {record(tokenizer, token)}\n\n" for token in tokens).encode()


def record(tokenizer: Tokenizer, token: ShownToken) -> str:
    """One token as JSON. text: the characters the answer gained, never U+FFFD: what is no character is in ``bytes``.

    Written by hand, from parts that are spelt once: a stream brings twenty candidates with every token.
    """
    alternatives = ",".join(
        f'{{{spelt(tokenizer, i)},"probability":{probability:.7g},"chance":{chance:.7g}}}'
        for (i, probability), chance in zip(token.alternatives, token.chances, strict=True)
    )
    special = ',"special":true' if token.token_id in tokenizer.special_ids else ""
    text = _quoted(token.text.replace(REPLACEMENT, ""))
    return (
        f'{{"type":"token","id":{token.token_id},"bytes":"{token.raw.hex()}","text":{text}{special},'
        f'"logprob":{token.logprob:.9g},"entropy":{token.entropy or 0.0:.9g},"rank":{token.rank or 0},'
        f'"alternatives":[{alternatives}]}}'
    )


def spelt(tokenizer: Tokenizer, token_id: int) -> str:
    """The fields of a token by itself. text: null where its bytes are no whole characters."""
    known = _fields.setdefault(tokenizer, {})
    if token_id not in known:
        raw = tokenizer.token_bytes(token_id)
        special = ',"special":true' if token_id in tokenizer.special_ids else ""
        text = _quoted(_whole(raw))
        known[token_id] = f'"id":{token_id},"bytes":"{raw.hex()}","text":{text}{special}'
    return known[token_id]


def written(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of ids with control tokens spelt out."""
    raw, previous = bytearray(), tokenizer.end_of_text
    for token_id in ids:
        special = token_id in tokenizer.special_ids
        raw += tokenizer.token_bytes(token_id) if special else tokenizer.bytes_after(previous, token_id)
        previous = token_id
    return raw.decode("utf-8", "replace").replace(REPLACEMENT, "")


def _whole(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
