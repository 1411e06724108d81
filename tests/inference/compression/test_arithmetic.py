"""The arithmetic coder gives back what it was given, in as many bits as Shannon says."""

from __future__ import annotations

import math
import random

import pytest

from limpid.inference.compression.arithmetic import MAX_TOTAL, Decoder, Encoder


def coded(symbols: list[int], counts: list[int]) -> bytes:
    starts = [sum(counts[:i]) for i in range(len(counts))]
    encoder = Encoder()
    for symbol in symbols:
        encoder.put(starts[symbol], counts[symbol], sum(counts))
    return encoder.finish()


def decoded(data: bytes, number: int, counts: list[int]) -> list[int]:
    starts = [sum(counts[:i]) for i in range(len(counts))]
    decoder, found = Decoder(data), []
    for _ in range(number):
        where = decoder.where(sum(counts))
        symbol = max(i for i, start in enumerate(starts) if start <= where)
        decoder.take(starts[symbol], counts[symbol], sum(counts))
        found.append(symbol)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_random_symbols_come_back_in_their_entropy(seed: int) -> None:
    draw = random.Random(seed)
    counts = [draw.choice([1, 2, 30, 4000, 10**6]) for _ in range(draw.randrange(2, 40))]
    symbols = draw.choices(range(len(counts)), counts, k=2000)
    symbols += draw.choices(range(len(counts)), k=50)  # surprising ones as well
    data = coded(symbols, counts)
    assert decoded(data, len(symbols), counts) == symbols
    information = sum(-math.log2(counts[s] / sum(counts)) for s in symbols)
    assert 8 * len(data) <= information + 10  # two bits, and the rest of a byte
    assert 8 * len(data) >= information - 1


@pytest.mark.parametrize("symbol", [0, 1])
def test_shares_of_all_but_nothing(symbol: int) -> None:
    """The narrowest shares there can be, at the edges and astride the middle."""
    counts = [MAX_TOTAL // 2 - 1, 1, 1, MAX_TOTAL // 2 - 1]
    symbols = [symbol] * 40 + [1, 2] * 40 + [3 - symbol] * 40
    assert decoded(coded(symbols, counts), len(symbols), counts) == symbols


def test_a_certain_symbol_takes_nothing() -> None:
    counts = [MAX_TOTAL - 1, 1]
    assert len(coded([0] * 10_000, counts)) <= 1


def test_nothing() -> None:
    assert decoded(Encoder().finish(), 0, [1, 1]) == []
