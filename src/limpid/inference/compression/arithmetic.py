"""Arithmetic coding: symbols of known probability as bits, within two bits of their entropy.

Witten, Neal, Cleary: Arithmetic Coding for Data Compression (1987). The interval [low, high] of 32-bit numbers is
narrowed to a symbol's share of it; bits that are settled go out, and an interval that straddles the middle closely is
widened, with the bit that it owes noted (``_owed``).
"""

from __future__ import annotations

BITS = 32
WHOLE = 1 << BITS
HALF, QUARTER = WHOLE >> 1, WHOLE >> 2
MAX_TOTAL = QUARTER >> 4
"""Counts may add up to so much: a symbol of count 1 still gets a share of the narrowest interval."""


class Encoder:
    """Writes symbols that are given as shares [start, start + count) of a total."""

    def __init__(self) -> None:
        self._low, self._high = 0, WHOLE - 1
        self._owed = 0
        self._bits = bytearray()  # one a byte

    def put(self, start: int, count: int, total: int) -> None:
        """Narrow the interval to a symbol's share; 0 < count, total <= MAX_TOTAL."""
        width = self._high - self._low + 1
        self._high = self._low + width * (start + count) // total - 1
        self._low += width * start // total
        while True:
            if self._high < HALF:
                self._out(0)
            elif self._low >= HALF:
                self._out(1)
                self._low -= HALF
                self._high -= HALF
            elif self._low >= QUARTER and self._high < HALF + QUARTER:
                self._owed += 1
                self._low -= QUARTER
                self._high -= QUARTER
            else:
                return
            self._low *= 2
            self._high = 2 * self._high + 1

    def finish(self) -> bytes:
        """All that was put, as whole bytes."""
        self._owed += 1
        self._out(int(self._low >= QUARTER))
        bits = bytes(self._bits) + bytes(-len(self._bits) % 8)
        return bytes(int("".join("01"[bit] for bit in bits[at : at + 8]), 2) for at in range(0, len(bits), 8))

    def _out(self, bit: int) -> None:
        self._bits.append(bit)
        self._bits += bytes([1 - bit]) * self._owed
        self._owed = 0


class Decoder:
    """Reads what an `Encoder` wrote; past the end it reads zeros, as the encoder means it."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._low, self._high = 0, WHOLE - 1
        self._code = 0
        for _ in range(BITS):
            self._code = 2 * self._code + self._next()

    def where(self, total: int) -> int:
        """A number below ``total`` that lies in the next symbol's share."""
        return ((self._code - self._low + 1) * total - 1) // (self._high - self._low + 1)

    def take(self, start: int, count: int, total: int) -> None:
        """Go past that symbol."""
        width = self._high - self._low + 1
        self._high = self._low + width * (start + count) // total - 1
        self._low += width * start // total
        while True:
            if self._high < HALF:
                shift = 0
            elif self._low >= HALF:
                shift = HALF
            elif self._low >= QUARTER and self._high < HALF + QUARTER:
                shift = QUARTER
            else:
                return
            self._low = 2 * (self._low - shift)
            self._high = 2 * (self._high - shift) + 1
            self._code = 2 * (self._code - shift) + self._next()

    def _next(self) -> int:
        place, bit = divmod(self._at, 8)
        self._at += 1
        return self._data[place] >> (7 - bit) & 1 if place < len(self._data) else 0
