"""What comes next in several texts at once, as counts that two machines of one kind agree on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from limpid.inference.engine import fastest_forward
from limpid.inference.forward import Piece
from limpid.inference.rows import CacheRows
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder

Counts = npt.NDArray[np.int64]
TOTAL = 1 << 24
"""The counts of all symbols together."""
PLAIN = 1 << 8
"""Those of the symbol that says that a plain byte follows: 16 bits."""


class Predictor:
    """Reads symbols into rows, a text each, and says what each text may go on with.

    A text longer than the context is read on from its last half.
    """

    def __init__(self, model: Decoder, dtype: torch.dtype, rows: int, first: int) -> None:
        """first: the token that every text begins behind."""
        self.forward = fastest_forward(inference_copy(model, dtype))
        self.context = model.config.context
        device = model.embedding.weight.device
        self.rows = CacheRows(model.config, rows, dtype, device)
        self.rows.reserve(rows, self.context)
        self.rows.busy = rows
        self.ends: list[Counts] = [np.zeros(0, dtype=np.int64)] * rows
        """Of each row: where the shares of the symbols 0, 1, ..., V - 1 end; the rest is the plain byte's."""
        self.read(dict.fromkeys(range(rows), first))

    @torch.inference_mode()
    def read(self, tokens: dict[int, int]) -> None:
        """Append a token to each of these rows, which are in order; `ends` of them is then of what follows it."""
        texts, slots = self.rows.texts, min(self.context, self.rows.slots)
        together: list[Piece] = []
        for row, token in tokens.items():
            if len(texts[row]) == slots:
                kept = texts[row][slots - slots // 2 :]
                texts[row] = []
                self._compute([Piece(row, [*kept, token], 0, 1)])
            elif together and together[-1].row != row - 1:  # rows of a call follow each other
                self._compute(together)
                together = [Piece(row, [token], len(texts[row]), 1)]
            else:
                together.append(Piece(row, [token], len(texts[row]), 1))
        if together:
            self._compute(together)

    def _compute(self, pieces: list[Piece]) -> None:
        logits = self.forward(self.rows, pieces).logits.numpy()
        for piece, scores in zip(pieces, logits, strict=True):
            self.rows.texts[piece.row] += piece.ids
            self.ends[piece.row] = shares(scores)


def shares(logits: npt.NDArray[np.float32]) -> Counts:
    """(V,) where each symbol's share of `TOTAL` ends: at least 1 each, and `PLAIN` are left at the end."""
    scores = logits.astype(np.float64)
    weights = np.exp(scores - scores.max())
    free = TOTAL - PLAIN - len(weights)
    counts = np.floor(weights * (free / weights.sum())).astype(np.int64) + 1
    counts[counts.argmax()] += TOTAL - PLAIN - counts.sum()
    return counts.cumsum()
