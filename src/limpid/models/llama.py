"""The llama family: the decoders of Llama 2/3, Mistral, Mixtral and Qwen2/3 (RMSNorm, RoPE, SwiGLU, GQA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from limpid.core.recipe import Section
from limpid.models.decoder import Decoder
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention
from limpid.nn.block import PreNormBlock
from limpid.nn.experts import ExpertsBlock, MixtureOfExperts
from limpid.nn.feedforward import SwiGLU
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import RMSNorm
from limpid.nn.position import Rotary
from limpid.nn.rope_scaling import RopeScaling


class LlamaConfig(Section):
    """Every number that shapes a llama model; saved beside its weights.

    context: the most tokens seen at once. d_model: width of the residual stream. n_layer: blocks. n_head: heads of
    queries. n_kv_head: heads of keys and values, each read by n_head / n_kv_head heads of queries. head_dim: width of a
    head. d_ff: width of the feed-forward layers. qk_norm: queries and keys are normalised, head by head (Qwen3).
    qkv_bias: queries, keys and values have biases (Qwen2). tie_embeddings: the output head is the token table.
    rope_base: of the rotary positions; pair i of C/2 turns by rope_base^(-2i/C) radians a position. rope_scaling: for
    contexts longer than those trained on, a table (below); unset: none. window: how many positions attention sees,
    its own counted; 0: all. n_expert: 0 is one dense layer; else so many of width d_ff. experts_per_token: how many of
    them a token takes. normalise_experts: their weights are scaled to sum to one. balance_loss: weight of the loss that
    keeps them busy. norm_eps: added to the mean square before its root. dropout: of the embeddings, of attention's
    weights and of what blocks add to the stream.
    """

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
    qkv_bias: bool = False
    tie_embeddings: bool = False
    rope_base: Annotated[float, Field(gt=1)] = 10_000.0
    rope_scaling: RopeScaling | None = None
    window: Annotated[int, Field(ge=0)] = 0
    n_expert: Annotated[int, Field(ge=0)] = 0
    experts_per_token: Count = 2
    normalise_experts: bool = True
    balance_loss: Annotated[float, Field(ge=0)] = 0.01
    norm_eps: float = 1e-6
    dropout: Share = 0.0

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} must be a multiple of n_kv_head {self.n_kv_head}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} must be even, since rotary positions turn pairs")
        if 0 < self.n_expert < self.experts_per_token:
            raise ValueError(f"experts_per_token {self.experts_per_token} is more than n_expert {self.n_expert}")
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


def llama(config: LlamaConfig) -> Decoder:
    """The model of a config. The residual branches' last matrices start at zero: every block begins as the identity."""
    embedding = Embedding(config.vocab_size, config.d_model, std=0.02 if config.tie_embeddings else 1.0)
    head = LanguageModelHead(config.d_model, config.vocab_size, std=0.02 if config.tie_embeddings else 1e-3)
    if config.tie_embeddings:
        head.weight = embedding.weight
    return Decoder(
        config,
        embedding=embedding,
        rotary=Rotary(config.head_dim, config.rope_base, config.rope_scaling),
        blocks=[_block(config) for _ in range(config.n_layer)],
        norm=RMSNorm(config.d_model, eps=config.norm_eps),
        head=head,
        dropout=config.dropout,
        windows=[config.window] * config.n_layer,
    )


def _block(config: LlamaConfig) -> PreNormBlock:
    attention = Attention(
        config.d_model, config.n_head, config.n_kv_head, config.head_dim,
        qk_norm=config.qk_norm, qkv_bias=config.qkv_bias, norm_eps=config.norm_eps, dropout=config.dropout,
        output_std=0.0,
    )  # fmt: skip
    norms = [RMSNorm(config.d_model, eps=config.norm_eps) for _ in range(2)]
    if not config.n_expert:
        return PreNormBlock(
            attention, SwiGLU(config.d_model, config.d_ff, output_std=0.0), *norms, dropout=config.dropout
        )
    experts = MixtureOfExperts(
        config.n_expert, config.experts_per_token, config.d_model, config.d_ff,
        normalise=config.normalise_experts, output_std=0.0,
    )  # fmt: skip
    return ExpertsBlock(attention, experts, *norms, dropout=config.dropout, balance_loss=config.balance_loss)
