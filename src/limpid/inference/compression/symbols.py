"""Any bytes as symbols: tokens of the vocabulary where they give the bytes back, plain bytes where not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from limpid.text.tokenizer import Tokenizer

RAW = -1
"""Symbol -1 - b is the plain byte b: 0 <= b < 256."""


class Spelling:
    """Bytes <-> symbols of one vocabulary: token ids, and negative numbers for plain bytes.

    A byte-level vocabulary has a token for every byte, so even bytes that are no UTF-8 are tokens to it. Others leave
    what they cannot spell (an unknown character, a space that they would lose) as plain bytes.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._of_byte: dict[int, int] = {}
        if tokenizer.byte_level:
            for token_id in range(tokenizer.vocab_size):
                if token_id not in tokenizer.special_ids and len(raw := tokenizer.token_bytes(token_id)) == 1:
                    self._of_byte.setdefault(raw[0], token_id)

    def symbols(self, data: bytes) -> list[int]:
        """The symbols of ``data``; `Writer` gives exactly it back."""
        found: list[int] = []
        written = Writer(self.tokenizer)
        for text, raw in _runs(data):
            for part in self.tokenizer.parts(text):
                self._spell(part, found, written)
            for byte in raw:
                self._add([self._of_byte.get(byte, RAW - byte)], found, written)
        return found

    def _spell(self, text: str, found: list[int], written: Writer) -> None:
        """Tokens of the text if they give it back, else of its lines, else of its characters, else its bytes."""
        if not text:
            return
        ids = self.tokenizer.encode(text)
        if self.tokenizer.unknown not in ids and written.would_write(ids) == text.encode():
            self._add(ids, found, written)
            return
        lines = text.splitlines(keepends=True)
        if len(lines) > 1 or len(text) > 1:
            for piece in lines if len(lines) > 1 else text:
                self._spell(piece, found, written)
        else:
            self._add([RAW - byte for byte in text.encode()], found, written)

    @staticmethod
    def _add(symbols: list[int], found: list[int], written: Writer) -> None:
        found += symbols
        written.write(symbols)


class Writer:
    """The bytes of symbols that come one after the other."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._previous = tokenizer.end_of_text

    def write(self, symbols: Iterable[int]) -> bytes:
        """What they add."""
        written, self._previous = self._walk(symbols)
        return written

    def would_write(self, symbols: Iterable[int]) -> bytes:
        """What they would add."""
        return self._walk(symbols)[0]

    def _walk(self, symbols: Iterable[int]) -> tuple[bytes, int]:
        found, previous = bytearray(), self._previous
        for symbol in symbols:
            if symbol < 0:
                found.append(RAW - symbol)
            else:
                found += self.tokenizer.bytes_after(previous, symbol)
                previous = symbol
        return bytes(found), previous


def _runs(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Text, and the bytes after it that are no UTF-8, in turn."""
    at = 0
    while at < len(data):
        try:
            yield data[at:].decode(), b""
            return
        except UnicodeDecodeError as error:
            text = data[at : at + error.start].decode()
            yield text, data[at + error.start : at + error.end]
            at += error.end
