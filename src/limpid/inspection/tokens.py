"""Tokens as they can be shown: invisible characters named, and parts of a character with the character they are of."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from limpid.text.tokenizer import Tokenizer

MASK = "[MASK]"
"""How an encoder's mask is shown that is no token of the vocabulary but a row of the table behind it."""


class ShownToken(NamedTuple):
    """A token of a text.

    token_id; raw: the bytes it adds to the text. label: what to show: invisible characters are named, bytes that are
    no whole character are <0xE4>. character: the character of which some of its bytes are a part, "" where none is;
    completes: whether with this token that character is whole.
    """

    token_id: int
    raw: bytes
    label: str
    character: str = ""
    completes: bool = False

    @property
    def text(self) -> str:
        """The label, with the character after it in the token that completes one: ``<0x8A> 床``."""
        return f"{self.label} {self.character}" if self.completes else self.label


def shown_tokens(ids: Sequence[int], tokenizer: Tokenizer | None) -> list[ShownToken]:
    """Each token of a text; without a tokenizer they are shown by number."""
    if tokenizer is None:
        return [ShownToken(i, b"", f"#{i}") for i in ids]
    raws, previous = [], tokenizer.end_of_text
    for token_id in ids:
        if token_id < tokenizer.vocab_size:
            raws.append(tokenizer.bytes_after(previous, token_id))
            previous = token_id
        else:
            raws.append(b"")
    parts = _split_characters(raws)
    tokens = []
    for index, (token_id, raw) in enumerate(zip(ids, raws, strict=True)):
        unsaid = token_id in tokenizer.special_ids or token_id >= tokenizer.vocab_size
        shown = label(raw) if raw or not unsaid else token_label(token_id, tokenizer)
        character, completes = parts.get(index, ("", False))
        tokens.append(ShownToken(token_id, raw, shown, character, completes))
    return tokens


def token_label(token_id: int, tokenizer: Tokenizer | None) -> str:
    """One token on its own."""
    if tokenizer is None:
        return f"#{token_id}"
    return label(tokenizer.token_bytes(token_id)) if token_id < tokenizer.vocab_size else MASK


def label(raw: bytes) -> str:
    """Bytes as they can be read: ␣ for spaces at the ends, ⏎, ⇥, ␛, <U+200B>, and <0xE4> for what is no UTF-8."""
    pieces = []
    for character in raw.decode("utf-8", "surrogateescape"):
        pieces.append(f"<0x{ord(character) - 0xDC00:02X}>" if "\udc80" <= character <= "\udcff" else _named(character))
    text = "".join(pieces)
    core = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    return "␣" * len(text) if not core else "␣" * before + core + "␣" * (len(text) - before - len(core))


_PICTURES = {"\n": "⏎", "\t": "⇥", "\x7f": "␡"}


def _named(character: str) -> str:
    if character in _PICTURES:
        return _PICTURES[character]
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    unseen = unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co")
    return f"<U+{ord(character):04X}>" if unseen or character in "\u00a0\u3164\ufe0f" else character


def _split_characters(raws: Sequence[bytes]) -> dict[int, tuple[str, bool]]:
    """Token number -> the character that lies over several tokens and has bytes in it, and whether it ends there.

    A token in which one such character ends and another begins is counted to the one that ends.
    """
    owner = [index for index, raw in enumerate(raws) for _ in raw]
    whole = b"".join(raws)
    found: dict[int, tuple[str, bool]] = {}
    at = 0
    for character in whole.decode("utf-8", "surrogateescape"):
        width = len(character.encode("utf-8", "surrogateescape"))
        tokens = sorted(set(owner[at : at + width]))
        at += width
        if len(tokens) > 1:
            for index in tokens:
                if not found.get(index, ("", False))[1]:
                    found[index] = (_named(character), index == tokens[-1])
    return found
