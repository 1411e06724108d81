"""Rotary positions past the context they were trained for: slower turns, three published ways."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from limpid.core.recipe import Section

Positive = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(ge=1)]
Places = Annotated[int, Field(ge=1)]


class LinearScaling(Section):
    """Every pair turns ``factor`` times slower (position interpolation: Chen et al. 2023).

    kind: ``linear``. factor: how many times slower.
    """

    kind: Literal["linear"] = "linear"
    factor: Factor

    @property
    def length(self) -> float:
        """What the turned vectors are multiplied by."""
        return 1.0

    def slowed(self, frequencies: Tensor, base: float) -> Tensor:
        """Radians a position of each pair, (C/2,) -> (C/2,)."""
        return frequencies / self.factor


class Llama3Scaling(Section):
    """Pairs that turn fewer than ``low`` times over the original context turn ``factor`` times slower, those that turn
    more than ``high`` times stay, and in between it passes over linearly in the number of turns (Llama 3.1, as in
    the code published with it).

    kind: ``llama3``. factor: how many times slower. original_context: of the training, in tokens. low, high: turns over
    it between which it passes over.
    """

    kind: Literal["llama3"] = "llama3"
    factor: Factor
    original_context: Places
    low: Positive = 1.0
    high: Positive = 4.0

    @property
    def length(self) -> float:
        """What the turned vectors are multiplied by."""
        return 1.0

    def slowed(self, frequencies: Tensor, base: float) -> Tensor:
        """Radians a position of each pair, (C/2,) -> (C/2,)."""
        turns = self.original_context * frequencies / (2 * math.pi)
        kept = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return frequencies * (kept + (1 - kept) / self.factor)


class YarnScaling(Section):
    """As llama3, but the passage is linear in the pair's index, and the vectors grow a little (Peng et al. 2023,
    sections 3.2 and 3.4).

    kind: ``yarn``. factor: how many times slower. original_context: of the training, in tokens. fast, slow: turns over
    the original context above which a pair stays, and below which it is slowed. truncate: the two indices are rounded
    outwards to whole ones. attention_factor: what turned vectors are multiplied by; unset: 0.1 ln(factor) + 1.
    """

    kind: Literal["yarn"] = "yarn"
    factor: Factor
    original_context: Places
    fast: Positive = 32.0
    slow: Positive = 1.0
    truncate: bool = True
    attention_factor: Positive | None = None

    @property
    def length(self) -> float:
        """What the turned vectors are multiplied by."""
        return self.attention_factor or 0.1 * math.log(self.factor) + 1

    def slowed(self, frequencies: Tensor, base: float) -> Tensor:
        """Radians a position of each pair, (C/2,) -> (C/2,)."""
        width = 2 * len(frequencies)

        def index(turns: float) -> float:
            return width * math.log(self.original_context / (2 * math.pi * turns)) / (2 * math.log(base))

        first, last = index(self.fast), index(self.slow)
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, width - 1)
        pairs = torch.arange(len(frequencies), dtype=torch.float32, device=frequencies.device)
        slow = ((pairs - first) / max(last - first, 1e-3)).clamp(0, 1)
        return frequencies * (1 - slow + slow / self.factor)


RopeScaling = Annotated[LinearScaling | Llama3Scaling | YarnScaling, Field(discriminator="kind")]
