"""The llama family: the decoder of Llama 2/3 and Qwen3 (RMSNorm, RoPE, SwiGLU, grouped queries, optional QK-norm)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from limpid.core.recipe import Section
from limpid.models.decoder import Decoder
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention
from limpid.nn.block import PreNormBlock
from limpid.nn.feedforward import SwiGLU
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import RMSNorm
from limpid.nn.position import Rotary


class LlamaConfig(Section):
    """Every number that shapes a llama model; saved beside its weights."""

    family: Literal["llama"] = "llama"
    vocab_size: Count
    context: Count
    d_model: Count
    n_layer: Count
    n_head: Count
    n_kv_head: Count
    head_dim: Count
    d_ff: Count
    qk_norm: bool = True
    tie_embeddings: bool = False
    rope_base: float = 10_000.0
    norm_eps: float = 1e-6
    dropout: Share = 0.0

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} must be a multiple of n_kv_head {self.n_kv_head}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} must be even, since rotary positions turn pairs")
        return self


def dial(depth: int, given: Mapping[str, int]) -> dict[str, Any]:
    """n_layer = depth; d_model = 64 depth; head_dim = 64; n_head = d_model / head_dim; n_kv_head = half of n_head where
    that is whole; d_ff = 8/3 d_model, rounded up to a multiple of 32."""
    d_model = given.get("d_model", 64 * depth)
    head_dim = given.get("head_dim", 64)
    n_head = given.get("n_head", max(1, d_model // head_dim))
    return {
        "context": 256,
        "d_model": d_model,
        "n_layer": depth,
        "n_head": n_head,
        "n_kv_head": n_head // 2 if n_head % 2 == 0 else n_head,
        "head_dim": head_dim,
        "d_ff": -(-8 * d_model // 3 // 32) * 32,
    }


PRESETS: dict[str, dict[str, Any]] = {}


def llama(config: LlamaConfig) -> Decoder:
    """The model of a config. The residual branches' last matrices start at zero: every block begins as the identity."""
    embedding = Embedding(config.vocab_size, config.d_model, std=0.02 if config.tie_embeddings else 1.0)
    head = LanguageModelHead(config.d_model, config.vocab_size, std=0.02 if config.tie_embeddings else 1e-3)
    if config.tie_embeddings:
        head.weight = embedding.weight
    return Decoder(
        config,
        embedding=embedding,
        rotary=Rotary(config.head_dim, config.rope_base),
        blocks=[_block(config) for _ in range(config.n_layer)],
        norm=RMSNorm(config.d_model, eps=config.norm_eps),
        head=head,
        dropout=config.dropout,
    )


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
