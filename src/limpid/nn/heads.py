"""Output heads: what turns hidden states into an answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpid.nn.linear import Linear


class Embedding(nn.Module):
    """A lookup table of V vectors of width D. Shapes: ids (B, T) -> (B, T, D)."""

    def __init__(self, vocab_size: int, d_model: int, *, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        self.std = std

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        nn.init.normal_(self.weight, std=self.std, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        return nn.functional.embedding(ids, self.weight)


class LanguageModelHead(Linear):
    """Hidden states (..., D) -> logits (..., V): one score for each token of the vocabulary.

    cap: logits are ``cap * tanh(raw / cap)`` and so stay within it (Gemma 2, section 2); 0: as they are. What makes
    logits without this module (`summed_cross_entropy` does, slice by slice) must be given both weight and cap.
    """

    def __init__(self, d_model: int, vocab_size: int, *, std: float, bias: bool = False, cap: float = 0.0) -> None:
        super().__init__(d_model, vocab_size, std=std, bias=bias)
        self.cap = cap

    def forward(self, x: Tensor) -> Tensor:
        return soft_cap(super().forward(x), self.cap)


def soft_cap(logits: Tensor, cap: float) -> Tensor:
    """``cap * tanh(logits / cap)``, in float32; 0 leaves them alone."""
    return cap * torch.tanh(logits.float() / cap) if cap else logits
