"""What clients are answered, as OpenAI's API has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NotRequired

from typing_extensions import TypedDict

from limpid.server.answer import Answer, ShownToken
from limpid.server.models import ModelCard
from limpid.server.tools import CallPart
from limpid.text.tokenizer import Tokenizer

LEAST_LOGPROB = -9999.0
"""Stands for the logarithm of nothing, which JSON cannot write."""


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(TypedDict):
    """bytes: of the token alone, which may be part of a character."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """token: the whole characters that the answer gained with it."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(TypedDict):
    content: list[TokenLogprob]
    refusal: None


class AssistantMessage(TypedDict):
    role: str
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[CallPart]]


class ChatChoice(TypedDict):
    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: str


class ChatCompletion(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str


class TextLogprobs(TypedDict):
    """Four lists, an entry a token; the first of an echoed prompt has no probability."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(TypedDict):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: str


class TextCompletion(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage
    system_fingerprint: str


class EmbeddingItem(TypedDict):
    """embedding: numbers, or float32 little-endian in base64."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingUsage(TypedDict):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(TypedDict):
    object: str
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage


class ModelList(TypedDict):
    object: str
    data: list[ModelCard]


class Tokens(TypedDict):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class Detokenized(TypedDict):
    prompt: str


class Health(TypedDict):
    status: str
    models: list[str]


def usage_of(answers: Sequence[Answer]) -> Usage:
    """The tokens of a request: each prompt once, every answer."""
    prompt = sum(answer.prompt_tokens for answer in answers if answer.counts_prompt)
    completion = sum(answer.completion_tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def finite(logprob: float) -> float:
    """A logarithm that JSON can write."""
    return max(logprob, LEAST_LOGPROB) if math.isfinite(logprob) else LEAST_LOGPROB


def log(probability: float) -> float:
    return math.log(probability) if probability > 0 else LEAST_LOGPROB


def chat_logprobs(tokenizer: Tokenizer, tokens: Sequence[ShownToken]) -> ChatLogprobs:
    """The log-probabilities of some tokens of a chat answer."""
    content: list[TokenLogprob] = []
    for token in tokens:
        tops: list[TopLogprob] = [
            {
                "token": tokenizer.token_text(i),
                "logprob": log(probability),
                "bytes": list(token.raw if i == token.token_id else tokenizer.token_bytes(i)),
            }
            for i, probability in token.alternatives
        ]
        content.append(
            {"token": token.text, "logprob": finite(token.logprob), "bytes": list(token.raw), "top_logprobs": tops}
        )
    return {"content": content, "refusal": None}


def text_logprobs(tokenizer: Tokenizer, tokens: Sequence[ShownToken], offset: int, count: int) -> TextLogprobs:
    """The log-probabilities of some tokens of a text, the first of which begins at character ``offset``.

    The token itself is among its alternatives, whether it is one of the ``count`` best or not.
    """
    lists: TextLogprobs = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        known = not math.isnan(token.logprob)
        lists["tokens"].append(token.text)
        lists["token_logprobs"].append(finite(token.logprob) if known else None)
        tops = {tokenizer.token_text(i): log(probability) for i, probability in token.alternatives}
        if count:
            tops.setdefault(tokenizer.token_text(token.token_id), finite(token.logprob))
        lists["top_logprobs"].append(tops if count and known else None)
        lists["text_offset"].append(offset)
        offset += len(token.text)
    return lists
