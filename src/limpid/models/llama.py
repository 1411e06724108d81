"""The llama family: the decoder of Llama 2/3 and Qwen3 (RMSNorm, RoPE, SwiGLU, grouped queries, optional QK-norm)."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from limpid.core.recipe import Section
from limpid.nn.attention import Attention, Context, LayerCache, cache_mask, segment_mask
from limpid.nn.block import PreNormBlock
from limpid.nn.dropout import Dropout
from limpid.nn.feedforward import SwiGLU
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import RMSNorm
from limpid.nn.position import rope_tables


class LlamaConfig(Section):
    """Every number that shapes a llama model; saved beside its weights."""

    family: Literal["llama"] = "llama"
    vocab_size: int
    context: int
    d_model: int
    n_layer: int
    n_head: int
    n_kv_head: int
    head_dim: int
    d_ff: int
    qk_norm: bool = True
    tie_embeddings: bool = False
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6
    dropout: float = 0.0

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} must be a multiple of n_kv_head {self.n_kv_head}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} must be even, since rotary positions turn pairs")
        return self


class Llama(nn.Module):
    """Token ids -> final hidden states; `head` turns those into logits.

    The residual branches' last matrices start at zero, so every block begins as the identity.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_model, std=0.02 if config.tie_embeddings else 1.0)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.d_model, eps=config.norm_eps)
        self.head = LanguageModelHead(config.d_model, config.vocab_size, std=0.02 if config.tie_embeddings else 1e-3)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight

    def forward(
        self,
        ids: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        cache: list[LayerCache] | None = None,
        seen: int | None = None,
    ) -> Tensor:
        """Hidden states after the final norm.

        Args:
            ids: (B, T) integers.
            dtype: compute dtype of the residual stream and the matrix products.
            segments: (B, T) document numbers; a token sees only its own document. None: one document a row.
            positions: (B, T) place of each token in its text; None: 0..T-1. With a cache these are also its slots.
            cache: one `LayerCache` a layer, written in place.
            seen: with a cache, how many of its slots may be looked at (at least the largest position + 1).

        Returns:
            (B, T, D) in ``dtype``.
        """
        x = self.dropout(self.embedding(ids).to(dtype))
        places = torch.arange(ids.shape[1], device=ids.device) if positions is None else positions
        cos, sin = rope_tables(places, self.config.head_dim, self.config.rope_base)
        mask, slots = None, None
        if cache is not None:
            slots = places.expand(ids.shape)
            mask = cache_mask(slots, seen or cache[0].keys.shape[1], dtype)
        elif segments is not None:
            mask = segment_mask(segments, dtype)
        context = Context(cos, sin, mask, slots)
        for index, block in enumerate(self.blocks):
            x = block(x, context, cache[index] if cache is not None else None)
        return self.norm(x)


def _block(config: LlamaConfig) -> PreNormBlock:
    attention = Attention(
        config.d_model, config.n_head, config.n_kv_head, config.head_dim,
        qk_norm=config.qk_norm, norm_eps=config.norm_eps, dropout=config.dropout, output_std=0.0,
    )  # fmt: skip
    return PreNormBlock(
        attention,
        SwiGLU(config.d_model, config.d_ff, output_std=0.0),
        RMSNorm(config.d_model, eps=config.norm_eps),
        RMSNorm(config.d_model, eps=config.norm_eps),
        dropout=config.dropout,
    )
