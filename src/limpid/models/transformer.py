"""The transformer family: the encoder-decoder of "Attention Is All You Need" (Vaswani et al. 2017) and its heirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator
from torch import nn

from limpid.core.recipe import Section
from limpid.models.encoder_decoder import EncoderDecoder, Stack, embedding_scale
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention
from limpid.nn.block import PostNormBlock, PreNormBlock
from limpid.nn.cross_attention import CrossAttention
from limpid.nn.cross_block import PostNormCrossBlock, PreNormCrossBlock
from limpid.nn.feedforward import ACTIVATIONS, FeedForward
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import LayerNorm
from limpid.nn.position import LearnedPositions, SinusoidalPositions


class TransformerConfig(Section):
    """Every number that shapes an encoder-decoder; the defaults are the paper's choices, its base model the sizes.

    context: the most tokens of a source, and of a target. d_model: width of the residual streams. n_layer: blocks of
    the decoder. n_encoder_layer: blocks of the encoder. n_head: heads. head_dim: width of a head. d_ff: width of the
    feed-forward layers. activation: of these layers, ``relu``, ``relu2``, ``gelu``, ``gelu_tanh`` or ``silu``. norm:
    after each residual sum (``post``), as in 2017, or before each part (``pre``), with one more at the end of each
    stack. norm_eps: added to the variance before its root. positions: ``sinusoidal`` (sine and cosine in turn, section
    3.5), ``sinusoidal_halves`` (all sines, then all cosines: Marian) or ``learned``. position_offset: rows of the
    learned table before the first place, beside those of ``context`` (BART: 2). embedding_norm: a layer norm on the
    embeddings (BART). scale_embeddings: they are multiplied by the root of d_model (section 3.4). tie_embeddings: one
    table for source, target and output head. logits_bias: one number a token added to the logits (Marian, BART).
    start_token, end_token: ids with which a target begins and ends; unset: the tokenizer's end of a text. dropout: of
    the embeddings and of what blocks add to the streams. attention_dropout: of attention's weights.
    """

    family: Literal["transformer"] = "transformer"
    vocab_size: Count
    context: Count
    d_model: Count = 512
    n_layer: Count = 6
    n_encoder_layer: Count = 6
    n_head: Count = 8
    head_dim: Count = 64
    d_ff: Count = 2048
    activation: str = "relu"
    norm: Literal["post", "pre"] = "post"
    norm_eps: float = 1e-5
    positions: Literal["sinusoidal", "sinusoidal_halves", "learned"] = "sinusoidal"
    position_offset: int = 0
    embedding_norm: bool = False
    scale_embeddings: bool = True
    tie_embeddings: bool = True
    logits_bias: bool = False
    start_token: int | None = None
    end_token: int | None = None
    dropout: Share = 0.1
    attention_dropout: Share = 0.0

    @property
    def n_kv_head(self) -> int:
        """As many as query heads: what a cache's shape asks."""
        return self.n_head

    @model_validator(mode="after")
    def _known_activation(self) -> Self:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation '{self.activation}' is not known; there are {', '.join(ACTIVATIONS)}")
        return self


def dial(depth: int, given: Mapping[str, int]) -> dict[str, Any]:
    """n_layer = n_encoder_layer = depth; d_model = 64 depth; head_dim = 64; n_head = d_model / 64; d_ff = 4 d_model."""
    d_model = given.get("d_model", 64 * depth)
    head_dim = given.get("head_dim", 64)
    return {
        "context": 256,
        "d_model": d_model,
        "n_layer": depth,
        "n_encoder_layer": given.get("n_layer", depth),
        "n_head": max(1, d_model // head_dim),
        "head_dim": head_dim,
        "d_ff": 4 * d_model,
    }


# Table 3 of the paper, English-German: 37,000 shared tokens.
PRESETS: dict[str, dict[str, Any]] = {
    "transformer-base": {"vocab_size": 37_000, "context": 512},
    "transformer-big": {
        "vocab_size": 37_000, "context": 512, "d_model": 1024, "n_head": 16, "d_ff": 4096, "dropout": 0.3,
    },
}  # fmt: skip


def transformer(config: TransformerConfig) -> EncoderDecoder:
    """The model of a config. Scaled embeddings begin with deviation D^-1/2, so that what enters a stack has about 1."""
    std = config.d_model**-0.5 if config.scale_embeddings else 0.02
    embedding = Embedding(config.vocab_size, config.d_model, std=std)
    head = LanguageModelHead(config.d_model, config.vocab_size, std=std, bias=config.logits_bias)
    if config.tie_embeddings:
        head.weight = embedding.weight
    return EncoderDecoder(
        config,
        embedding=embedding,
        scale=embedding_scale(config.scale_embeddings, config.d_model),
        encoder=_stack(config, [_encoder_block(config) for _ in range(config.n_encoder_layer)]),
        decoder=_stack(config, [_decoder_block(config) for _ in range(config.n_layer)]),
        head=head,
    )


def _stack(config: TransformerConfig, blocks: list[nn.Module]) -> Stack:
    return Stack(
        positions=_positions(config),
        position_offset=config.position_offset,
        embedding_norm=_norm(config) if config.embedding_norm else nn.Identity(),
        blocks=blocks,
        norm=_norm(config) if config.norm == "pre" else nn.Identity(),
        dropout=config.dropout,
    )


def _positions(config: TransformerConfig) -> nn.Module:
    if config.positions == "learned":
        return LearnedPositions(config.context + config.position_offset, config.d_model, std=0.02)
    return SinusoidalPositions(config.d_model, halves=config.positions == "sinusoidal_halves")


def _encoder_block(config: TransformerConfig) -> nn.Module:
    block = PostNormBlock if config.norm == "post" else PreNormBlock
    return block(_attention(config), _feed_forward(config), _norm(config), _norm(config), dropout=config.dropout)


def _decoder_block(config: TransformerConfig) -> nn.Module:
    cross = CrossAttention(
        config.d_model, config.n_head, config.head_dim,
        dropout=config.attention_dropout, bias=True, output_std=_output_std(config),
    )  # fmt: skip
    block = PostNormCrossBlock if config.norm == "post" else PreNormCrossBlock
    return block(
        _attention(config), cross, _feed_forward(config), _norm(config), _norm(config), _norm(config),
        dropout=config.dropout,
    )  # fmt: skip


def _attention(config: TransformerConfig) -> Attention:
    return Attention(
        config.d_model, config.n_head, config.n_head, config.head_dim,
        dropout=config.attention_dropout, qkv_bias=True, output_bias=True, output_std=_output_std(config),
    )  # fmt: skip


def _feed_forward(config: TransformerConfig) -> FeedForward:
    return FeedForward(config.d_model, config.d_ff, config.activation, bias=True, output_std=_output_std(config))


def _norm(config: TransformerConfig) -> LayerNorm:
    return LayerNorm(config.d_model, eps=config.norm_eps)


def _output_std(config: TransformerConfig) -> float | None:
    """Pre-norm branches begin at zero, so that every block begins as the identity; post-norm ones as any matrix."""
    return 0.0 if config.norm == "pre" else None
