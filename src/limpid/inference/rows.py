"""Rows of a key-value cache that many answers share: who sits where, and what a row still remembers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from limpid.inference.cache import Cache, allocate, layers
from limpid.models.registry import DecoderConfig

SLOT_STEP = 64
"""Rows grow by a multiple of this many slots."""


class CacheRows:
    """Preallocated cache rows, the busy ones always first, so that a step reads one contiguous slice.

    texts: of each row, the token ids whose keys and values it holds. A row that is given back keeps them: a prompt
    that begins the same way (the next turn of a talk, the same system message, another sample of one prompt) takes
    them over and reads only the rest.
    """

    def __init__(
        self, config: DecoderConfig, limit: int, dtype: torch.dtype, device: torch.device, *, first: int = 8
    ) -> None:
        self.config, self.limit, self.dtype, self.device = config, limit, dtype, device
        self.slots = 0
        self.count = 0
        self.busy = 0
        self.block = allocate(config, 0, 0, dtype, device)
        self.texts: list[list[int]] = []
        self._used: list[int] = []  # when each row was last given back or taken
        self._clock = 0
        self._first = first

    def reserve(self, rows: int, slots: int) -> None:
        """Make room for ``rows`` rows of ``slots`` slots; what is there stays."""
        rows, slots = min(rows, self.limit), min(slots, self.config.context)
        if rows <= self.count and slots <= self.slots:
            return
        count, size = self.count, self.slots
        while count < rows:
            count = min(self.limit, max(self._first, 2 * count))
        if slots > size:
            size = min(self.config.context, -(-slots // SLOT_STEP) * SLOT_STEP)
        larger = allocate(self.config, count, size, self.dtype, self.device)
        larger[:, : self.count, :, : self.slots] = self.block
        self.block = larger
        self.texts += [[] for _ in range(count - self.count)]
        self._used += [0] * (count - self.count)
        self.count, self.slots = count, size

    def layers(self, rows: slice) -> Cache:
        """Views of some rows, one a layer."""
        return layers(self.block, rows)

    def take(self, ids: Sequence[int]) -> int:
        """Make one more row busy for a prompt; the row is ``busy - 1`` afterwards, and `texts` says what it holds
        of the prompt already. At least the prompt's last token is left to be read.

        Returns:
            how many tokens need not be read again.
        """
        self.reserve(self.busy + 1, len(ids) + 1)
        place = self.busy
        source, common = self._longest_common(ids)
        free = range(place, self.count)
        if source in free:
            self.swap(place, source)
        else:
            self.swap(place, min(free, key=self._used.__getitem__))
            if common:
                self._copy(source, place, common)
        self.texts[place] = list(ids[:common])
        self.busy += 1
        self._touch(place)
        return common

    def give_back(self, row: int) -> None:
        """Free a row; the last busy row takes its place."""
        self.busy -= 1
        self.swap(row, self.busy)
        del self.texts[self.busy][self.slots - 1 :]  # its last slot is where it writes while it rides along
        self._touch(self.busy)

    def swap(self, a: int, b: int) -> None:
        """Exchange two rows."""
        if a == b:
            return
        length = min(self.slots, max(len(self.texts[a]), len(self.texts[b])))
        held = self.block[:, a, :, :length].clone()
        self.block[:, a, :, :length] = self.block[:, b, :, :length]
        self.block[:, b, :, :length] = held
        self.texts[a], self.texts[b] = self.texts[b], self.texts[a]
        self._used[a], self._used[b] = self._used[b], self._used[a]

    def forget(self) -> None:
        """What free rows remember is of no use any more: the weights have changed."""
        for row in range(self.busy, self.count):
            self.texts[row] = []

    def positions(self, rows: slice) -> Tensor:
        """(rows,) the slot each row writes next; a full row, which can only be riding along, rewrites its last."""
        return torch.tensor([min(len(text), self.slots - 1) for text in self.texts[rows]])

    def _touch(self, row: int) -> None:
        self._clock += 1
        self._used[row] = self._clock

    def _longest_common(self, ids: Sequence[int]) -> tuple[int, int]:
        """(row, tokens): the row that holds most of the beginning of ``ids``; (-1, 0) where none holds any."""
        found, longest, most = -1, 0, len(ids) - 1
        for row, text in enumerate(self.texts):
            if longest == most:
                break
            # A row can only do better if it agrees where the best one so far ended.
            if len(text) > longest and text[longest] == ids[longest] and text[:longest] == ids[:longest]:
                common = longest
                end = min(len(text), most)
                while common < end and text[common] == ids[common]:
                    common += 1
                found, longest = row, common
        return found, longest

    def _copy(self, source: int, target: int, length: int) -> None:
        self.block[:, target, :, :length] = self.block[:, source, :, :length]
