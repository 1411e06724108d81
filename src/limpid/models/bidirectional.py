"""The bidirectional encoder: token ids -> hidden states that have seen the whole text, and a head for masked tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from limpid.models.encoder_decoder import Stack
from limpid.models.model import Model
from limpid.nn.attention import Context
from limpid.nn.cross_attention import padding_mask
from limpid.nn.heads import Embedding, LanguageModelHead


class Encoder(Model):
    """A stack of blocks in which every token sees every other.

    Args:
        config: the family's config, with at least vocab_size, context, d_model, mask_id.
        embedding: ids -> (B, T, D).
        segment_embedding: which of two texts a token belongs to (0 or 1) -> (B, T, D); None: texts are not told apart.
        stack: positions, norms and blocks that map (x, context) -> x.
        transform: what stands before the head when a masked token is to be told, (..., D) -> (..., D).
        head: (..., D) -> (..., V).
    """

    noun = "an encoder"

    def __init__(
        self,
        config: Any,
        *,
        embedding: Embedding,
        segment_embedding: Embedding | None,
        stack: Stack,
        transform: nn.Module,
        head: LanguageModelHead,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.segment_embedding = segment_embedding
        self.encoder = stack
        self.transform = transform
        self.head = head

    @property
    def blocks(self) -> list[nn.Module]:
        """Every block."""
        return list(self.encoder.blocks)

    def forward(
        self,
        ids: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        lengths: Tensor | None = None,
        segments: Tensor | None = None,
    ) -> Tensor:
        """Hidden states of the last block.

        Args:
            ids: (B, T) integers.
            dtype: compute dtype of the residual stream and the matrix products.
            lengths: (B,) how much of each row is no padding; None: all of it.
            segments: (B, T) of 0 and 1, for models that tell two texts apart; None: all 0.

        Returns:
            (B, T, D) in ``dtype``.
        """
        batch, length = ids.shape
        if lengths is None:
            mask = torch.zeros(batch, 1, 1, length, dtype=dtype, device=ids.device)
        else:
            mask = padding_mask(lengths, length, dtype)
        embedded = self.embedding(ids)
        if self.segment_embedding is not None:
            embedded = embedded + self.segment_embedding(torch.zeros_like(ids) if segments is None else segments)
        x = self.encoder.begin(embedded, torch.arange(length, device=ids.device), dtype)
        context = Context(None, None, mask)
        for block in self.encoder.blocks:
            x = block(x, context)
        return self.encoder.norm(x)

    def scores(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> logits (..., V) of the token that stands, or stood, at each place."""
        return self.head(self.transform(hidden))
