"""Encoding of whole corpora, through a faster library where it is installed and knows the vocabulary's kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.text.tokenizer import Tokenizer

PROBE = (
    "The cat's 3,14 mats;\r\n\n\tI'LL  go.",
    "我喜欢机器学习。2026年",
    "<|user|> é e\u0301 😀👩‍👩‍👧 नमस्ते ",
    "\u2028 \x00ſ's",
)
"""Texts that a faster encoder must encode alike before it is trusted with others."""

Encoder = Callable[[list[str]], Sequence[Any]]


def bulk_encoder(tokenizer: Tokenizer) -> Encoder:
    """A function from texts to their ids, each a list or an array: `Tokenizer.encode_batch`, or one that gives the same
    ids sooner.

    gigatoken (the extra ``limpid[fast]``) reads byte-level BPE whose texts are split as a published model's are; it
    encodes tens of times as fast as the tokenizers library. Control tokens are kept from it, so that text that looks
    like one stays text.
    """
    if tokenizer.kind != "bpe" or not tokenizer.byte_level:
        return tokenizer.encode_batch
    try:
        import gigatoken
    except ImportError:
        return tokenizer.encode_batch
    table = json.loads(tokenizer.library_json())
    table["added_tokens"] = [token for token in table["added_tokens"] if not token["special"]]
    table["post_processor"] = None
    try:
        fast = gigatoken.Tokenizer.from_json(json.dumps(table))
    except (ValueError, RuntimeError):  # a split pattern that it does not know
        return tokenizer.encode_batch

    if [np.asarray(ids).tolist() for ids in fast.encode_batch(list(PROBE))] != tokenizer.encode_batch(list(PROBE)):
        return tokenizer.encode_batch

    def encode(texts: list[str]) -> Sequence[Any]:
        if not texts:
            return []
        import awkward  # gigatoken's own need: it gives one ragged array, whose rows are slow to take one by one

        ragged = fast.encode_batch(texts)
        ids = np.asarray(awkward.flatten(ragged))
        ends = np.cumsum(np.asarray(awkward.num(ragged)))
        starts = [0, *ends[:-1].tolist()]
        return [ids[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]

    return encode
