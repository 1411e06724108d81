"""Text <-> token ids: one class over the tokenizers library, whatever the kind of vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.core.recipe import Section

END_OF_TEXT, SYSTEM, USER, ASSISTANT, END_OF_TURN = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
UNKNOWN = "<unk>"

# A word with at most one leading mark or space; single digits, so that numbers are read digit by digit; runs of
# punctuation; white space. In the manner of GPT-2's and GPT-4's patterns.
_PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class TokenizerSection(Section):
    """Which units text is cut into.

    kind: ``bpe`` (byte-level byte-pair encoding: any text round-trips) or ``char`` (one token a character).
    vocab_size: how many tokens a bpe vocabulary has, special ones included; a char vocabulary has what the text has.
    """

    kind: Literal["bpe", "char"] = "bpe"
    vocab_size: int = 4096


class Tokenizer:
    """Encode, decode, and look at single tokens.

    Control tokens (`SPECIAL_TOKENS`) are only ever inserted by id: their spelling typed in a text is plain text.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._backend.encode_special_tokens = True
        found = {token: backend.token_to_id(token) for token in SPECIAL_TOKENS}
        missing = [token for token, token_id in found.items() if token_id is None]
        if missing:
            raise LimpidError(f"this tokenizer lacks the control tokens {', '.join(missing)}; train one with limpid.")
        ids = [token_id for token_id in found.values() if token_id is not None]
        self.end_of_text, self.system, self.user, self.assistant, self.end_of_turn = ids
        self.special_ids = frozenset(ids)
        self.byte_level = "ByteLevel" in json.loads(backend.to_str())["pre_tokenizer"].__repr__()
        self._bytes = [self._spell(i) for i in range(self.vocab_size)]

    @property
    def vocab_size(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=True)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and rules: two tokenizers are the same if and only if these are."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """As `encode`, for many texts, on all cores."""
        return [e.ids for e in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids. Control tokens are left out; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(i) for i in ids if i not in self.special_ids).decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes a token stands for; for a byte-level vocabulary they may be part of a character."""
        return self._bytes[token_id]

    def token_text(self, token_id: int) -> str:
        """One token made readable on its own: its text, ``<0xE4>`` for bytes that are no whole character."""
        raw = self.token_bytes(token_id)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<0x{byte:02X}>" for byte in raw)

    def to_json(self) -> str:
        return self._backend.to_str(pretty=False)

    @classmethod
    def from_json(cls, text: str, where: str = "tokenizer.json") -> Tokenizer:
        """Raises LimpidError if the text is no tokenizer."""
        try:
            backend = Backend.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise LimpidError(f"{where} is not a tokenizer: {error}") from None
        return cls(backend)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LimpidError(f"the tokenizer {path} cannot be read: {error}") from None
        return cls.from_json(text, str(path))

    def _spell(self, token_id: int) -> bytes:
        token = self._backend.id_to_token(token_id) or ""
        if not self.byte_level or token in SPECIAL_TOKENS:
            return token.encode()
        return bytes(_BYTE_OF[character] for character in token)


def train(section: TokenizerSection, texts: Iterable[str]) -> Tokenizer:
    """Learn a vocabulary from texts.

    Raises:
        LimpidError: no text, or fewer distinct units in it than ``vocab_size`` asks for.
    """
    if section.kind == "char":
        return _train_char(texts)
    if section.vocab_size < 256 + len(SPECIAL_TOKENS) + 1:
        raise LimpidError(
            f"tokenizer.vocab_size = {section.vocab_size} is too small: byte-level bpe needs 256 bytes and "
            f"{len(SPECIAL_TOKENS)} control tokens, so at least {257 + len(SPECIAL_TOKENS)}."
        )
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=section.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_not_empty(texts), trainer)
    found = backend.get_vocab_size()
    if found < section.vocab_size:
        raise LimpidError(
            f"tokenizer.vocab_size = {section.vocab_size} is more than this text supports: it gives {found} tokens. "
            f"Set tokenizer.vocab_size={found} or bring more text."
        )
    return Tokenizer(backend)


def _train_char(texts: Iterable[str]) -> Tokenizer:
    characters: set[str] = set()
    for text in _not_empty(texts):
        characters.update(text)
    if len(characters) < 2:
        raise LimpidError(
            f"the text holds only the character {characters.pop()!r}: there is nothing to learn; check data.path."
        )
    vocabulary = [*SPECIAL_TOKENS, UNKNOWN, *sorted(characters)]
    backend = Backend(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    return Tokenizer(backend)


def _not_empty(texts: Iterable[str]) -> Iterator[str]:
    empty = True
    for text in texts:
        if text:
            empty = False
            yield text
    if empty:
        raise LimpidError("there is no text to learn a vocabulary from: every document is empty; check data.path.")


def _byte_alphabet() -> dict[str, int]:
    """Printable stand-in character -> byte, as byte-level vocabularies spell them (Radford et al. 2019, 2.2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()
