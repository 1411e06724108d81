"""The file that `limpid compress` writes: a short head, and the bits."""

from __future__ import annotations

from typing import NamedTuple

from limpid.core.errors import LimpidError

MAGIC = b"limpid\x01"
DTYPES = ("float32", "bfloat16", "float16")
KERNELS = ("", "torch", "C kernels")


class Header(NamedTuple):
    """model, digest: 16 bytes each, of the model and of what was compressed. bytes: its length. lanes: texts that its
    symbols were cut into. dtype, kernels: what the probabilities were computed in and by."""

    model: bytes
    digest: bytes
    bytes: int
    symbols: int
    lanes: int
    dtype: str
    kernels: str


def pack(header: Header, payload: bytes) -> bytes:
    """Magic, two fingerprints, five numbers, the length of the bits, the bits."""
    numbers = (
        header.bytes, header.symbols, header.lanes, DTYPES.index(header.dtype), KERNELS.index(header.kernels),
        len(payload),
    )  # fmt: skip
    return MAGIC + header.model + header.digest + b"".join(map(_varint, numbers)) + payload


def unpack(data: bytes) -> tuple[Header, bytes]:
    """Raises LimpidError where the file is none of these, or is not whole."""
    if data[: len(MAGIC)] != MAGIC:
        if data[: len(MAGIC) - 1] == MAGIC[:-1]:
            raise LimpidError("it was written by another version of limpid compress; use that one.")
        raise LimpidError("it is no file of limpid compress.")
    at = len(MAGIC)
    model, digest = data[at : at + 16], data[at + 16 : at + 32]
    at += 32
    numbers = []
    try:
        for _ in range(6):
            number, at = _read_varint(data, at)
            numbers.append(number)
        size, symbols, lanes, dtype, kernels, length = numbers
        header = Header(model, digest, size, symbols, lanes, DTYPES[dtype], KERNELS[kernels])
    except IndexError:
        raise LimpidError("its head is damaged or not whole; nothing is written.") from None
    payload = data[at:]
    if len(payload) != length:
        what = "is cut short" if len(payload) < length else "has something behind its end"
        raise LimpidError(f"it {what}: {len(payload):,} of {length:,} bytes; nothing is written.")
    if not (0 < lanes <= 1024 and symbols <= max(size, 0) + 1 and (symbols or not length)):
        raise LimpidError("its head is damaged; nothing is written.")
    return header, payload


def _varint(number: int) -> bytes:
    """Seven bits a byte, the low ones first; the last byte's high bit is 0."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise IndexError
