"""Answers that must be JSON of a schema: which tokens may come next, computed by the llguidance library."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.text.tokenizer import Tokenizer

SCHEMA_BYTES = 128 * 1024
"""Larger schemas are refused: they take seconds to compile."""
_NEEDED = '{}[]":,'  # characters that JSON cannot do without
_FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as json.dumps writes


class JsonGrammars:
    """Makes masks over the tokens of one vocabulary; each token is the bytes it adds to the text.

    An answer ends with one of ``stop_ids``, which are allowed where the JSON is complete.
    """

    def __init__(self, tokenizer: Tokenizer, stop_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._stop_ids = sorted(stop_ids)

    def compile(self, schema: Any) -> JsonMask:
        """A mask for answers that a JSON schema (Draft 2020-12, as far as llguidance knows it) describes.

        Raises:
            LimpidError: no schema, one that nothing satisfies, too large or too complex a one, or a vocabulary that
                cannot spell JSON.
        """
        source = json.dumps(schema)
        if len(source) > SCHEMA_BYTES:
            raise LimpidError(f"the schema has {len(source)} bytes; at most {SCHEMA_BYTES} are taken.")
        try:
            grammar = LLMatcher.grammar_from_json_schema(source, overrides=_FORM)  # type: ignore[arg-type]
        except ValueError as error:
            raise LimpidError(f"the schema cannot be used: {_first_line(error)}") from None
        matcher = LLMatcher(self._vocabulary, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
        if matcher.is_error():
            raise LimpidError(f"the schema cannot be used: {_first_line(matcher.get_error())}")
        mask = JsonMask(matcher, self._tokenizer.vocab_size, self._stop_ids)
        if not bool(mask.allowed().index_fill(0, torch.tensor(self._stop_ids), False).any()):
            raise LimpidError("no JSON satisfies the schema.")
        return mask

    @cached_property
    def _vocabulary(self) -> LLTokenizer:
        tokenizer = self._tokenizer
        spelled = {tokenizer.token_bytes(i): i for i in range(tokenizer.vocab_size) if i not in tokenizer.special_ids}
        if missing := [character for character in _NEEDED if character.encode() not in spelled]:
            raise LimpidError(f"this model's vocabulary lacks {' '.join(missing)}, so it cannot write JSON.")
        return LLTokenizer(
            TokenizerWrapper(_Vocabulary(tokenizer, spelled, self._stop_ids[0])),
            n_vocab=tokenizer.vocab_size,
            eos_token=self._stop_ids,
        )


class JsonMask:
    """A `TokenMask`: follows one answer. fault: why the grammar gave up on it (too complex at a place), if it did."""

    def __init__(self, matcher: LLMatcher, vocab_size: int, stop_ids: list[int]) -> None:
        self._matcher, self._vocab_size, self._stop_ids = matcher, vocab_size, stop_ids
        self.fault: str | None = None

    def copy(self) -> JsonMask:
        """The same grammar for another answer, from where this one stands."""
        return JsonMask(self._matcher.deep_copy(), self._vocab_size, self._stop_ids)

    def allowed(self) -> Tensor:
        """(V,) bool; where nothing else may follow, or the grammar gave up, the stop tokens."""
        mask = torch.zeros(self._vocab_size, dtype=torch.bool)
        if not self._matcher.is_stopped():
            bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            mask = torch.from_numpy(np.unpackbits(bits, count=self._vocab_size, bitorder="little").astype(np.bool_))
        if self._matcher.is_error():
            self.fault = _first_line(self._matcher.get_error())
            mask.fill_(False)
        if not bool(mask.any()):
            mask[self._stop_ids] = True
        return mask

    def take(self, token: int) -> None:
        """Follow the answer by one token."""
        if not self._matcher.is_stopped():
            self._matcher.consume_token(token)


class _Vocabulary:
    """What llguidance asks of a tokenizer. It encodes texts that a grammar leaves no choice about."""

    def __init__(self, tokenizer: Tokenizer, spelled: dict[bytes, int], end: int) -> None:
        self.eos_token_id = end
        self.bos_token_id = None
        self.tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]
        unknown = set() if tokenizer.unknown is None else {tokenizer.unknown}
        self.special_token_ids = sorted(tokenizer.special_ids | unknown)
        for token in self.special_token_ids:
            spelled.pop(self.tokens[token], None)
        self._tokenizer, self._spelled = tokenizer, spelled
        self._longest = max(map(len, spelled))

    def __call__(self, text: bytes | str) -> list[int]:
        raw = text.encode() if isinstance(text, str) else text
        ids = self._tokenizer.encode(raw.decode("utf-8", "ignore"))
        if b"".join(self.tokens[i] for i in ids) == raw and self._tokenizer.unknown not in ids:
            return ids
        return self._greedy(raw)  # a vocabulary that spells words with the space before them, or lacks characters

    def _greedy(self, raw: bytes) -> list[int]:
        ids, at = [], 0
        while at < len(raw):
            for length in range(min(self._longest, len(raw) - at), 0, -1):
                if (found := self._spelled.get(raw[at : at + length])) is not None:
                    ids.append(found)
                    at += length
                    break
            else:
                return ids
        return ids


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["unknown"])[0][:300]
