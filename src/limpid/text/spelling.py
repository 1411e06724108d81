"""What each token stands for in bytes, read from the decoder that a tokenizer.json describes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError

_CLOSING = tuple(".,;:?!%)]}'’”。，、；：？！）》」』】…")
_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")

Rule = Callable[[str], bytes]


class Spelling(NamedTuple):
    """rule: token -> its bytes. byte_level: whether every byte string has a spelling.

    spaced: whether a word is spelled with the space before it, which at the start of a text is none.
    """

    rule: Rule
    byte_level: bool
    spaced: bool


def spelling(decoder: dict[str, Any] | None, where: str) -> Spelling:
    """The spelling that a decoder of the tokenizers library implies.

    Raises:
        LimpidError: a decoder that limpid does not know.
    """
    if decoder is None:
        return Spelling(_apart, byte_level=False, spaced=True)
    match decoder["type"]:
        case "ByteLevel":
            return Spelling(_bytes_of, byte_level=True, spaced=False)
        case "Fuse":
            return Spelling(str.encode, byte_level=False, spaced=False)
        case "WordPiece":
            return Spelling(_word_piece(decoder["prefix"]), byte_level=False, spaced=True)
        case "Metaspace":
            spaced = decoder.get("prepend_scheme", "always") != "never"
            return Spelling(_with_marks(decoder["replacement"], fallback=False), byte_level=False, spaced=spaced)
        case "Sequence":
            return _sequence(decoder["decoders"], where)
        case other:
            raise LimpidError(f"{where} has a decoder of type {other}, which limpid does not know.")


def _sequence(steps: list[dict[str, Any]], where: str) -> Spelling:
    """The decoder of Llama 2 and its like: ▁ for spaces, <0xE4> for bytes, the first space taken off."""
    mark, fallback, spaced = "", False, False
    for step in steps:
        match step["type"]:
            case "Replace" if step["content"] == " " and "String" in step["pattern"]:
                mark = step["pattern"]["String"]
            case "Metaspace":
                mark, spaced = step["replacement"], step.get("prepend_scheme", "always") != "never"
            case "ByteFallback":
                fallback = True
            case "Fuse":
                pass
            case "Strip" if step["content"] == " " and step["start"] <= 1 and step["stop"] == 0:
                spaced = spaced or step["start"] == 1
            case "ByteLevel" if len([s for s in steps if s["type"] != "Fuse"]) == 1:
                return Spelling(_bytes_of, byte_level=True, spaced=False)
            case other:
                raise LimpidError(f"{where} has a decoder with a step of type {other}, which limpid does not know.")
    return Spelling(_with_marks(mark, fallback=fallback), byte_level=fallback, spaced=spaced)


def _bytes_of(token: str) -> bytes:
    return bytes(_BYTE_OF[character] for character in token)


def _with_marks(mark: str, *, fallback: bool) -> Rule:
    def rule(token: str) -> bytes:
        if fallback and (found := _BYTE.fullmatch(token)):
            return bytes([int(found[1], 16)])
        return (token.replace(mark, " ") if mark else token).encode()

    return rule


def _word_piece(prefix: str) -> Rule:
    def rule(token: str) -> bytes:
        return token.removeprefix(prefix).encode() if prefix and token.startswith(prefix) else _apart(token)

    return rule


def _apart(token: str) -> bytes:
    """A word with a space before it; Chinese characters and closing marks have none."""
    joined = token.startswith(_CLOSING) or _HAN.match(token)
    return (token if joined else f" {token}").encode()


def _byte_alphabet() -> dict[str, int]:
    """Printable stand-in character -> byte, as byte-level vocabularies spell them (Radford et al. 2019, 2.2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def byte_spelling(raw: bytes) -> str:
    """Bytes in those stand-in characters: the inverse of what a ByteLevel decoder does."""
    return "".join(_CHARACTER_OF[byte] for byte in raw)


_CHARACTER_OF = {byte: character for character, byte in _BYTE_OF.items()}
