"""Random numbers by a seed that is a word: those of seedrandom.js, so that an address of TensorFlow Playground means
here the very points and first weights that it means there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WIDTH = 256
SIGNIFICANT, OVERFLOW = 2**52, 2**53


class SeededRandom:
    """Numbers from 0 to 1, by RC4 with the first 256 bytes dropped, as David Bau's seedrandom.js (2010) draws them.

    seed: any text; its UTF-16 units are mixed into RC4's key of at most 256 bytes.
    """

    def __init__(self, seed: str) -> None:
        self._state = _schedule(_key(seed))
        self._i = self._j = 0
        self._whole(WIDTH)

    def copy(self) -> SeededRandom:
        """One that goes on from here by itself."""
        twin = object.__new__(SeededRandom)
        twin._state, twin._i, twin._j = self._state.copy(), self._i, self._j
        return twin

    def number(self) -> float:
        """The next number of [0, 1), with 52 bits that mean something."""
        numerator, denominator, last = self._whole(6), 2**48, 0
        while numerator < SIGNIFICANT:
            numerator = (numerator + last) * WIDTH
            denominator *= WIDTH
            last = self._whole(1)
        while numerator >= OVERFLOW:
            numerator //= 2
            denominator //= 2
            last >>= 1
        return (numerator + last) / denominator

    def numbers(self, *shape: int) -> npt.NDArray[np.float64]:
        """That many of them, in the order of rows."""
        count = int(np.prod(shape))
        return np.array([self.number() for _ in range(count)], dtype=np.float64).reshape(shape)

    def uniform(self, low: float, high: float) -> float:
        return self.number() * (high - low) + low

    def normal(self, mean: float, variance: float) -> float:
        """By Marsaglia's polar method, of whose two numbers one is kept."""
        while True:
            first, second = 2 * self.number() - 1, 2 * self.number() - 1
            square = first * first + second * second
            if 0 < square <= 1:
                return float(mean + np.sqrt(variance) * np.sqrt(-2 * np.log(square) / square) * first)

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """A permutation, by Fisher and Yates from the end."""
        found = np.arange(count)
        for last in range(count - 1, -1, -1):
            pick = int(self.number() * (last + 1))
            found[last], found[pick] = found[pick], found[last]
        return found

    def _whole(self, count: int) -> int:
        """The next ``count`` bytes of RC4 as one number."""
        i, j, state, found = self._i, self._j, self._state, 0
        for _ in range(count):
            i = (i + 1) % WIDTH
            j = (j + state[i]) % WIDTH
            state[i], state[j] = state[j], state[i]
            found = found * WIDTH + state[(state[i] + state[j]) % WIDTH]
        self._i, self._j = i, j
        return found


def _key(seed: str) -> list[int]:
    units = np.frombuffer(seed.encode("utf-16-le", "surrogatepass"), dtype="<u2").tolist()
    key: list[int] = [0] * min(max(len(units), 1), WIDTH)
    smear = 0
    for place, unit in enumerate(units):
        smear ^= key[place % WIDTH] * 19
        key[place % WIDTH] = (smear + unit) % WIDTH
    return key


def _schedule(key: list[int]) -> list[int]:
    state = list(range(WIDTH))
    j = 0
    for i in range(WIDTH):
        j = (j + key[i % len(key)] + state[i]) % WIDTH
        state[i], state[j] = state[j], state[i]
    return state
