"""The gpt family: the decoders of GPT-1, GPT-2 and GPT-3 (LayerNorm, learned positions, biases everywhere)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator
from torch import nn

from limpid.core.recipe import Section
from limpid.models.decoder import Decoder
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention
from limpid.nn.block import PostNormBlock, PreNormBlock
from limpid.nn.feedforward import FeedForward
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import LayerNorm
from limpid.nn.position import LearnedPositions, SinusoidalPositions

STD = 0.02
"""Deviation of fresh weights (Radford et al. 2018, section 4.1)."""


class GptConfig(Section):
    """Every number that shapes a gpt model; saved beside its weights.

    context: the most tokens seen at once. d_model: width of the residual stream. n_layer: blocks. n_head: heads, each
    of width d_model / n_head. d_ff: width of the feed-forward layers. norm: where a block normalises: ``post`` as GPT-1
    and the 2017 Transformer, ``pre`` as GPT-2 and GPT-3, which then have one more norm before the head. activation: of
    the feed-forward layers; ``gelu_tanh`` is GPT-2's approximation. positions: a table that is learnt, or sines and
    cosines, added to the embeddings. tie_embeddings: the output head is the token table. norm_eps: added to the
    variance before its root. dropout: of the embeddings, of attention's weights and of what blocks add to the stream.
    """

    family: Literal["gpt"] = "gpt"
    vocab_size: Count
    context: Count
    d_model: Count
    n_layer: Count
    n_head: Count
    d_ff: Count
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["gelu_tanh", "gelu", "relu"] = "gelu_tanh"
    positions: Literal["learned", "sinusoidal"] = "learned"
    tie_embeddings: bool = True
    norm_eps: float = 1e-5
    dropout: Share = 0.0

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.d_model % self.n_head:
            raise ValueError(f"d_model {self.d_model} must be a multiple of n_head {self.n_head}")
        return self

    @property
    def n_kv_head(self) -> int:
        return self.n_head

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_head


def dial(depth: int, given: Mapping[str, int]) -> dict[str, Any]:
    """n_layer = depth, d_model = 64 depth, heads of width 64, d_ff = 4 d_model."""
    d_model = given.get("d_model", 64 * depth)
    return {
        "context": 256,
        "d_model": d_model,
        "n_layer": depth,
        "n_head": max(1, d_model // 64),
        "d_ff": 4 * d_model,
    }


def _preset(n_layer: int, d_model: int, n_head: int, context: int, **others: Any) -> dict[str, Any]:
    shape = {"vocab_size": 50_257, "context": context, "d_model": d_model, "n_layer": n_layer, "n_head": n_head}
    return shape | {"d_ff": 4 * d_model} | others


PRESETS: dict[str, dict[str, Any]] = {
    "gpt1": _preset(12, 768, 12, 512, vocab_size=40_478, norm="post"),
    "gpt2": _preset(12, 768, 12, 1024),
    "gpt2-medium": _preset(24, 1024, 16, 1024),
    "gpt2-large": _preset(36, 1280, 20, 1024),
    "gpt2-xl": _preset(48, 1600, 25, 1024),
    "gpt3-125m": _preset(12, 768, 12, 2048),
    "gpt3-350m": _preset(24, 1024, 16, 2048),
    "gpt3-760m": _preset(24, 1536, 16, 2048),
    "gpt3-1.3b": _preset(24, 2048, 16, 2048),
    "gpt3-2.7b": _preset(32, 2560, 32, 2048),
    "gpt3-6.7b": _preset(32, 4096, 32, 2048),
    "gpt3-13b": _preset(40, 5120, 40, 2048),
    "gpt3-175b": _preset(96, 12_288, 96, 2048),
}
"""Radford et al. 2018 and 2019; Brown et al. 2020, table 2.1, with two numbers mended that contradict each other there:
1.3B has 16 heads of width 128 (the table says 24), 13B is 5,120 wide (the table says 5,140)."""


def gpt(config: GptConfig) -> Decoder:
    """The model of a config.

    Weights are drawn from N(0, 0.02); those that write into the residual stream are scaled by 1/sqrt(2 n_layer), one
    over the root of their number (Radford et al. 2019, section 2.3). All attention is dense: GPT-3's alternation of
    dense and locally banded sparse layers (Brown et al. 2020, section 2.1) is not built.
    """
    embedding = Embedding(config.vocab_size, config.d_model, std=STD)
    head = LanguageModelHead(config.d_model, config.vocab_size, std=STD)
    if config.tie_embeddings:
        head.weight = embedding.weight
    positions: nn.Module = SinusoidalPositions(config.d_model)
    if config.positions == "learned":
        positions = LearnedPositions(config.context, config.d_model, std=STD)
    last = LayerNorm(config.d_model, eps=config.norm_eps) if config.norm == "pre" else nn.Identity()
    return Decoder(
        config,
        embedding=embedding,
        positions=positions,
        blocks=[_block(config) for _ in range(config.n_layer)],
        norm=last,
        head=head,
        dropout=config.dropout,
    )


def _block(config: GptConfig) -> nn.Module:
    residual_std = STD / (2 * config.n_layer) ** 0.5
    attention = Attention(
        config.d_model, config.n_head, config.n_kv_head, config.head_dim,
        qkv_bias=True, output_bias=True, dropout=config.dropout, std=STD, output_std=residual_std,
    )  # fmt: skip
    block = PreNormBlock if config.norm == "pre" else PostNormBlock
    return block(
        attention,
        FeedForward(config.d_model, config.d_ff, config.activation, bias=True, std=STD, output_std=residual_std),
        LayerNorm(config.d_model, eps=config.norm_eps),
        LayerNorm(config.d_model, eps=config.norm_eps),
        dropout=config.dropout,
    )
