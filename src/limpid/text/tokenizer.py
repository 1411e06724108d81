"""Text <-> token ids: one class over the tokenizers library, whatever the kind of vocabulary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.text.chinese import places, spaced
from limpid.text.chunks import chunks
from limpid.text.conventions import Conventions
from limpid.text.spelling import spelling
from limpid.text.vocabulary import (
    ASSISTANT,
    END_OF_TEXT,
    END_OF_TURN,
    SPECIAL_TOKENS,
    SYSTEM,
    UNKNOWN,
    USER,
    TokenizerSection,
    learn,
)

__all__ = ["SPECIAL_TOKENS", "UNKNOWN", "Tokenizer", "TokenizerSection", "train"]


class Tokenizer:
    """Encode, decode, and look at single tokens.

    Control tokens are only ever inserted by id: their spelling typed in a text is plain text. White space between words
    is lost in the kinds that keep words only; `byte_level` says whether any text comes back as it was.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        end_of_text: str = END_OF_TEXT,
        begin_of_text: str | None = None,
        chinese: str = "characters",
        conventions: Conventions | None = None,
        where: str = "this tokenizer",
    ) -> None:
        """end_of_text, begin_of_text: how the vocabulary spells the marks that end a document and, if any, begin one.

        chinese: "words": Chinese is cut into words before the vocabulary sees it (`chinese.spaced`).
        conventions: how a model made elsewhere speaks of its special tokens and writes conversations; None: as limpid.

        Raises:
            LimpidError: the vocabulary lacks them, or spells its tokens in a way that limpid does not know.
        """
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self._backend, self._where = backend, where
        self._marks = {"end_of_text": end_of_text}
        if begin_of_text is not None:
            self._marks["begin_of_text"] = begin_of_text
        if chinese != "characters":
            self._marks["chinese"] = chinese
        self.conventions = conventions
        table: dict[str, Any] = json.loads(backend.to_str())
        self.end_of_text = self._control(end_of_text)
        self.begin_of_text = None if begin_of_text is None else self._control(begin_of_text)
        self.unknown = _unknown(table["model"], backend)
        added = {token["id"]: token["content"] for token in table["added_tokens"]}
        special = {token["id"] for token in table["added_tokens"] if token["special"]}
        self.special_ids = frozenset((special | {self.end_of_text}) - {self.unknown})
        self.kind = _kind(table)
        self._splits_words = _splits_words(table)
        rule, self.byte_level, self._spaced = spelling(table["decoder"], where)
        try:
            self._bytes = _spellings(backend, added, rule)
        except KeyError as error:
            raise LimpidError(f"{where} is no byte-level vocabulary: a token holds the character {error}.") from None

    def with_control_tokens(self, tokens: Sequence[str]) -> Tokenizer:
        """This tokenizer with more control tokens behind its vocabulary, where it lacks them; no other id changes."""
        backend = Backend.from_str(self._backend.to_str())
        backend.add_special_tokens(list(tokens))
        return Tokenizer(backend, **self._marks, conventions=self.conventions, where=self._where)

    def control_id(self, token: str) -> int | None:
        """The id of a control token by its spelling, or None where there is none."""
        token_id = self._backend.token_to_id(token)
        return token_id if token_id in self.special_ids else None

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return len(self._bytes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and rules: two tokenizers are the same if and only if these are.

        The scores of a unigram vocabulary count to six places: the library's file does not keep their last bits.
        """
        text = self.to_json()
        if self.kind == "unigram":
            table = json.loads(text)
            table["model"]["vocab"] = [[token, round(score, 6)] for token, score in table["model"]["vocab"]]
            text = json.dumps(table)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def opening(self) -> list[int]:
        """What is put before every text: the mark that begins one, where the vocabulary has it."""
        return [] if self.begin_of_text is None else [self.begin_of_text]

    @property
    def text_stops(self) -> frozenset[int]:
        """The tokens that end the continuation of a text."""
        return frozenset({self.end_of_text}) if self.conventions is None else self.chat_stops

    @property
    def chat_stops(self) -> frozenset[int]:
        """The tokens that end an answer."""
        stops = [self.end_of_turn] if self.conventions is None else map(self._control, self.conventions.stops)
        return frozenset({self.end_of_text, *stops})

    @property
    def system(self) -> int:
        return self._control(SYSTEM)

    @property
    def user(self) -> int:
        return self._control(USER)

    @property
    def assistant(self) -> int:
        return self._control(ASSISTANT)

    @property
    def end_of_turn(self) -> int:
        return self._control(END_OF_TURN if self.conventions is None else self.conventions.end_of_turn)

    @property
    def can_chat(self) -> bool:
        """Whether the vocabulary has the marks of limpid's chat template, or brought one of its own."""
        return self.conventions is not None or all(
            self._backend.token_to_id(token) is not None for token in (SYSTEM, USER, ASSISTANT, END_OF_TURN)
        )

    def encode(self, text: str) -> list[int]:
        return self._backend.encode(self._cut(text), add_special_tokens=False).ids

    @property
    def cuts_chinese(self) -> bool:
        """Whether Chinese is cut into words here, before the library's part of the vocabulary sees it."""
        return self._marks.get("chinese") == "words"

    def _cut(self, text: str) -> str:
        return spaced(text) if self.cuts_chinese else text

    def normalised(self, text: str) -> str:
        """``text`` as the vocabulary sees it: what its normaliser (NFC, for instance) makes of it."""
        return text if self._backend.normalizer is None else self._backend.normalizer.normalize_str(text)

    def encode_spans(self, text: str, *, marked: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
        """As `encode`, and for each token the characters of ``text`` it stands for, as (start, end).

        marked: special tokens spelt in ``text`` are the tokens themselves; only for text that limpid wrote.
        """
        seen = self._cut(text)
        encoding = (self._marking if marked else self._backend).encode(seen, add_special_tokens=False)
        if not self.cuts_chinese:
            return encoding.ids, encoding.offsets
        at = places(text, seen)
        return encoding.ids, [(at[begin], at[end]) for begin, end in encoding.offsets]

    @cached_property
    def _marking(self) -> Backend:
        return Backend.from_str(self.library_json())  # with the library's default: special tokens are recognised

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """As `encode`, for many texts, on all cores."""
        cut = [self._cut(text) for text in texts]
        return [e.ids for e in self._backend.encode_batch_fast(cut, add_special_tokens=False)]

    def parts(self, text: str) -> Iterator[str]:
        """A long text in parts whose tokens, one after the other, are those of the whole.

        Vocabularies without a rule that splits words (SentencePiece's) look at the whole text at once.
        """
        return chunks(text) if self._splits_words else iter((text,))

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids. Control tokens are left out; bytes that are no UTF-8 become U+FFFD.

        Raises:
            LimpidError: an id that the vocabulary does not have.
        """
        raw, previous = bytearray(), self.end_of_text
        for token_id in ids:
            raw += self.bytes_after(previous, token_id)
            previous = token_id
        return raw.decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes a token stands for; for a byte-level vocabulary they may be part of a character."""
        if not 0 <= token_id < len(self._bytes):
            raise LimpidError(f"token id {token_id} is outside 0..{self.vocab_size - 1}, the ids of {self._where}.")
        return self._bytes[token_id]

    def bytes_after(self, previous: int, token_id: int) -> bytes:
        """What ``token_id`` adds to a text whose last token is ``previous``.

        Nothing for a control token. After one a text begins, and there a word has no space before it.
        """
        raw = self.token_bytes(token_id)
        if token_id in self.special_ids:
            return b""
        return raw.removeprefix(b" ") if self._spaced and previous in self.special_ids else raw

    def token_text(self, token_id: int) -> str:
        """One token made readable on its own: its text, ``<0xE4>`` for bytes that are no whole character."""
        raw = self.token_bytes(token_id)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<0x{byte:02X}>" for byte in raw)

    def out_of_vocabulary(self, ids: Sequence[int]) -> float:
        """The share of tokens that are the unknown one, 0 to 1; always 0 where the vocabulary has none."""
        return sum(i == self.unknown for i in ids) / max(1, len(ids)) if self.unknown is not None else 0.0

    def with_conventions(self, conventions: Conventions) -> Tokenizer:
        """The same vocabulary, spoken of in another way. Raises LimpidError where it lacks one of the tokens."""
        backend = Backend.from_str(self.library_json())
        made = Tokenizer(backend, **self._marks, conventions=conventions, where=self._where)
        for token in (conventions.end_of_turn, *conventions.stops):
            made._control(token)
        return made

    def to_json(self) -> str:
        """The file that `load` reads: the library's tokenizer.json, and the marks where they are not ours."""
        text = self.library_json()
        marks: dict[str, Any] = dict(self._marks)
        if self.conventions is not None:
            marks["conventions"] = self.conventions.model_dump(mode="json")
        if marks == {"end_of_text": END_OF_TEXT}:
            return text
        return json.dumps({"limpid": marks} | json.loads(text), ensure_ascii=False)

    def library_json(self) -> str:
        """The tokenizer.json that the tokenizers library, and so transformers, reads."""
        return self._backend.to_str(pretty=False)

    @classmethod
    def from_json(cls, text: str, where: str = "tokenizer.json") -> Tokenizer:
        """Raises LimpidError if the text is no tokenizer."""
        marks: dict[str, Any] = {}
        try:
            if text.lstrip()[:10].startswith('{"limpid"'):
                table = json.loads(text)
                marks = table.pop("limpid")
                if "conventions" in marks:
                    marks["conventions"] = Conventions.model_validate(marks["conventions"])
                text = json.dumps(table)
            backend = Backend.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise LimpidError(f"{where} is not a tokenizer: {error}") from None
        return cls(backend, where=where, **marks)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LimpidError(f"the tokenizer {path} cannot be read: {error}") from None
        return cls.from_json(text, str(path))

    def _control(self, token: str) -> int:
        token_id = self._backend.token_to_id(token)
        if token_id is None:
            raise LimpidError(f"{self._where} lacks the control token {token}.")
        return token_id


def train(section: TokenizerSection, texts: Iterable[str], *, exact: bool = True) -> Tokenizer:
    """Learn a vocabulary from texts.

    exact: whether ``vocab_size`` must be met; else as near to it as the text comes.

    Raises:
        LimpidError: no text, or fewer distinct units in it than ``vocab_size`` asks for.
    """
    return Tokenizer(learn(section, texts, exact=exact), chinese=section.chinese)


def _spellings(backend: Backend, added: dict[int, str], rule: Any) -> list[bytes]:
    """The bytes of every id from 0 on; an id that the vocabulary skips stands for nothing."""
    by_id = {token_id: token for token, token_id in backend.get_vocab(with_added_tokens=True).items()}
    found = []
    for token_id in range(max(by_id, default=-1) + 1):
        token = added.get(token_id)
        found.append(rule(by_id.get(token_id, "")) if token is None else token.encode())
    return found


def _unknown(model: dict[str, Any], backend: Backend) -> int | None:
    if model["type"] == "Unigram":
        return model["unk_id"]
    return backend.token_to_id(model["unk_token"]) if model.get("unk_token") else None


def _kind(table: dict[str, Any]) -> str:
    """``bpe``, ``unigram``, ``wordpiece``, ``word`` or ``char``."""
    kind = {"BPE": "bpe", "Unigram": "unigram", "WordPiece": "wordpiece"}.get(table["model"]["type"], "word")
    return "char" if kind == "word" and (table["decoder"] or {}).get("type") == "Fuse" else kind


def _splits_words(table: dict[str, Any]) -> bool:
    """Whether texts are first split by a pattern that ends a word at every line break."""
    steps = (table["pre_tokenizer"] or {}).get("pretokenizers", [table["pre_tokenizer"] or {}])
    patterns = [step["pattern"].get("Regex", "") for step in steps if step.get("type") == "Split"]
    return any(r"\s" in pattern for pattern in patterns)
