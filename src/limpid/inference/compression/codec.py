"""Files into what a model leaves of them, and back."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch

from limpid.core.errors import LimpidError
from limpid.inference.compression import container
from limpid.inference.compression.arithmetic import Decoder as Reader
from limpid.inference.compression.arithmetic import Encoder
from limpid.inference.compression.container import Header
from limpid.inference.compression.prediction import PLAIN, TOTAL, Predictor
from limpid.inference.compression.symbols import RAW, Spelling, Writer
from limpid.models.decoder import Decoder
from limpid.text.tokenizer import Tokenizer

LANE = 2048
"""A long file is cut into texts of about so many symbols, which are computed together."""
LANES = 32
Told = Callable[[int, int], None]


class Compressed(NamedTuple):
    """data: the file. symbols: of which ``plain`` bytes are no tokens of the vocabulary. raw_bytes: of what went in."""

    data: bytes
    symbols: int
    plain: int
    raw_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """0 of an empty file."""
        return 8 * len(self.data) / self.raw_bytes if self.raw_bytes else 0.0


class Codec:
    """Compresses and decompresses with one model.

    fingerprint: 16 bytes that say which model this is. dtype: of activations; both sides must compute in the same one,
    so it is written down. What is compressed here is decompressed by the same model, dtype and kernels (to the C
    kernels the number of threads does not matter); anything else is refused, or noticed by the checksum of what comes
    out.
    """

    def __init__(self, model: Decoder, tokenizer: Tokenizer, fingerprint: bytes, dtype: torch.dtype) -> None:
        self.model, self.tokenizer, self.fingerprint, self.dtype = model, tokenizer, fingerprint, dtype

    def compress(self, data: bytes, told: Told = lambda done, of: None) -> Compressed:
        """told: is called now and then with the symbols done and their number."""
        symbols = Spelling(self.tokenizer).symbols(data)
        count = min(LANES, max(1, len(symbols) // LANE))
        lanes = [symbols[start:end] for start, end in _cuts(len(symbols), count)]
        encoder, kernels = Encoder(), ""
        if symbols:
            predictor = Predictor(self.model, self.dtype, count, self.tokenizer.end_of_text)
            kernels = predictor.forward.name
            for place in range(len(lanes[0])):
                tokens = {}
                for row, lane in enumerate(lanes):
                    if place < len(lane):
                        _put(encoder, predictor, row, symbol := lane[place])
                        if symbol >= 0:
                            tokens[row] = symbol
                if place + 1 < len(lanes[0]):
                    predictor.read(tokens)
                told(min(len(symbols), (place + 1) * count), len(symbols))
        payload = encoder.finish() if symbols else b""
        header = Header(
            self.fingerprint, hashlib.sha256(data).digest()[:16], len(data), len(symbols), count,
            str(self.dtype).removeprefix("torch."), kernels,
        )  # fmt: skip
        plain = sum(symbol < 0 for symbol in symbols)
        return Compressed(container.pack(header, payload), len(symbols), plain, len(data))

    def decompress(self, header: Header, payload: bytes, told: Told = lambda done, of: None) -> bytes:
        """What was compressed: the very bytes.

        Raises:
            LimpidError: another model's, or what comes out is not what went in (damaged, or computed otherwise).
        """
        if header.model != self.fingerprint:
            raise LimpidError(
                f"it was compressed by another model ({header.model.hex()[:12]}; this one is "
                f"{self.fingerprint.hex()[:12]}): give that one."
            )
        lanes: list[list[int]] = [[] for _ in range(header.lanes)]
        kernels = ""
        if header.symbols:
            predictor = Predictor(self.model, self.dtype, header.lanes, self.tokenizer.end_of_text)
            kernels = predictor.forward.name
            reader = Reader(payload)
            lengths = [end - start for start, end in _cuts(header.symbols, header.lanes)]
            for place in range(lengths[0]):
                tokens = {}
                for row, lane in enumerate(lanes):
                    if place < lengths[row]:
                        lane.append(symbol := _take(reader, predictor, row))
                        if symbol >= 0:
                            tokens[row] = symbol
                if place + 1 < lengths[0]:
                    predictor.read(tokens)
                told(min(header.symbols, (place + 1) * header.lanes), header.symbols)
        data = Writer(self.tokenizer).write(symbol for lane in lanes for symbol in lane)
        if len(data) != header.bytes or hashlib.sha256(data).digest()[:16] != header.digest:
            why = (
                f"it was computed by {header.kernels} and this machine computes by {kernels}"
                if kernels != header.kernels
                else "it is damaged, or comes from a machine whose arithmetic differs"
            )
            raise LimpidError(f"what comes out is not what went in: {why}. Nothing is written.")
        return data


def _cuts(symbols: int, lanes: int) -> list[tuple[int, int]]:
    """(start, end) of each lane: longer ones first, by one symbol."""
    size, longer = divmod(symbols, lanes)
    starts = [lane * size + min(lane, longer) for lane in range(lanes + 1)]
    return list(itertools.pairwise(starts))


def _put(encoder: Encoder, predictor: Predictor, row: int, symbol: int) -> None:
    ends = predictor.ends[row]
    if symbol < 0:
        encoder.put(TOTAL - PLAIN, PLAIN, TOTAL)
        encoder.put(RAW - symbol, 1, 256)
        return
    start = int(ends[symbol - 1]) if symbol else 0
    encoder.put(start, int(ends[symbol]) - start, TOTAL)


def _take(reader: Reader, predictor: Predictor, row: int) -> int:
    ends = predictor.ends[row]
    where = reader.where(TOTAL)
    if where >= TOTAL - PLAIN:
        reader.take(TOTAL - PLAIN, PLAIN, TOTAL)
        byte = reader.where(256)
        reader.take(byte, 1, 256)
        return RAW - byte
    symbol = int(ends.searchsorted(where, side="right"))
    start = int(ends[symbol - 1]) if symbol else 0
    reader.take(start, int(ends[symbol]) - start, TOTAL)
    return symbol
