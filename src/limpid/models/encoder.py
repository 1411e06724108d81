"""The encoder family: BERT (Devlin et al. 2019) and, with pre-norm blocks or sinusoidal positions, its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator
from torch import nn

from limpid.core.errors import LimpidError
from limpid.core.recipe import Section
from limpid.models.bidirectional import Encoder
from limpid.models.encoder_decoder import Stack
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention
from limpid.nn.block import PostNormBlock, PreNormBlock
from limpid.nn.feedforward import ACTIVATIONS, FeedForward
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import LayerNorm
from limpid.nn.position import LearnedPositions, SinusoidalPositions
from limpid.nn.transform import Transform


class EncoderConfig(Section):
    """Every number that shapes an encoder; the defaults are BERT's choices.

    context: the most tokens seen at once. d_model: width of the residual stream. n_layer: blocks. n_head: heads.
    head_dim: width of a head. d_ff: width of the feed-forward layers. activation: of these layers and before the head,
    ``relu``, ``relu2``, ``gelu``, ``gelu_tanh`` or ``silu``. norm: after each residual sum (``post``), or before each
    part (``pre``), with one more at the end. norm_eps: added to the variance before its root. positions: a table that
    is learnt, or sines and cosines, added to the embeddings. position_offset: rows of that table before the first place
    (RoBERTa: 2). n_segments: how many kinds of text are told apart by an embedding (BERT: 2); 0: none. mask_token: the
    id that stands for a masked token; unset: one row more than the vocabulary, the last of the table. tie_embeddings:
    the output head is the token table. dropout: of the embeddings and of what blocks add to the stream.
    attention_dropout: of attention's weights.
    """

    family: Literal["encoder"] = "encoder"
    vocab_size: Count
    context: Count
    d_model: Count = 768
    n_layer: Count = 12
    n_head: Count = 12
    head_dim: Count = 64
    d_ff: Count = 3072
    activation: str = "gelu"
    norm: Literal["post", "pre"] = "post"
    norm_eps: float = 1e-12
    positions: Literal["learned", "sinusoidal"] = "learned"
    position_offset: int = 0
    n_segments: int = 0
    mask_token: int | None = None
    tie_embeddings: bool = True
    dropout: Share = 0.1
    attention_dropout: Share = 0.0

    @property
    def mask_id(self) -> int:
        """The id that stands for a masked token."""
        return self.vocab_size if self.mask_token is None else self.mask_token

    @property
    def rows(self) -> int:
        """Of the embedding table: the vocabulary, and the mask where it is not part of it."""
        return self.vocab_size + (self.mask_token is None)

    @model_validator(mode="after")
    def _known_activation(self) -> Self:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation '{self.activation}' is not known; there are {', '.join(ACTIVATIONS)}")
        return self


def dial(depth: int, given: Mapping[str, int]) -> dict[str, Any]:
    """n_layer = depth; d_model = 64 depth; head_dim = 64; n_head = d_model / 64; d_ff = 4 d_model."""
    d_model = given.get("d_model", 64 * depth)
    head_dim = given.get("head_dim", 64)
    return {
        "context": 256,
        "d_model": d_model,
        "n_layer": depth,
        "n_head": max(1, d_model // head_dim),
        "head_dim": head_dim,
        "d_ff": 4 * d_model,
    }


PRESETS: dict[str, dict[str, Any]] = {
    "bert-base": {"vocab_size": 30_522, "context": 512, "n_segments": 2, "attention_dropout": 0.1},
    "bert-large": {
        "vocab_size": 30_522, "context": 512, "n_segments": 2, "attention_dropout": 0.1,
        "d_model": 1024, "n_layer": 24, "n_head": 16, "d_ff": 4096,
    },
}  # fmt: skip


def encoder(config: EncoderConfig) -> Encoder:
    """The model of a config, drawn as BERT's (every matrix of deviation .02)."""
    if not 0 <= config.mask_id < config.rows:
        raise LimpidError(f"mask_token {config.mask_token} is no id of a vocabulary of {config.vocab_size} tokens.")
    embedding = Embedding(config.rows, config.d_model, std=0.02)
    head = LanguageModelHead(config.d_model, config.rows, std=0.02, bias=True)
    if config.tie_embeddings:
        head.weight = embedding.weight
    return Encoder(
        config,
        embedding=embedding,
        segment_embedding=Embedding(config.n_segments, config.d_model, std=0.02) if config.n_segments else None,
        stack=Stack(
            positions=_positions(config),
            position_offset=config.position_offset,
            embedding_norm=_norm(config),
            blocks=[_block(config) for _ in range(config.n_layer)],
            norm=_norm(config) if config.norm == "pre" else nn.Identity(),
            dropout=config.dropout,
        ),
        transform=Transform(config.d_model, config.activation, norm_eps=config.norm_eps, std=0.02),
        head=head,
    )


def _positions(config: EncoderConfig) -> nn.Module:
    if config.positions == "learned":
        return LearnedPositions(config.context + config.position_offset, config.d_model, std=0.02)
    return SinusoidalPositions(config.d_model)


def _block(config: EncoderConfig) -> nn.Module:
    attention = Attention(
        config.d_model, config.n_head, config.n_head, config.head_dim,
        dropout=config.attention_dropout, qkv_bias=True, output_bias=True, std=0.02, output_std=0.02,
    )  # fmt: skip
    feed_forward = FeedForward(config.d_model, config.d_ff, config.activation, bias=True, std=0.02, output_std=0.02)
    block = PostNormBlock if config.norm == "post" else PreNormBlock
    return block(attention, feed_forward, _norm(config), _norm(config), dropout=config.dropout)


def _norm(config: EncoderConfig) -> LayerNorm:
    return LayerNorm(config.d_model, eps=config.norm_eps)
