"""The speedrun family: the decoder that record runs of small GPTs arrived at (modded-nanogpt, nanochat)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from limpid.core.recipe import Section
from limpid.models.decoder import Decoder
from limpid.models.model import Count, Share
from limpid.nn.attention import Attention, Context, LayerCache
from limpid.nn.dropout import Dropout
from limpid.nn.feedforward import FeedForward
from limpid.nn.heads import Embedding, LanguageModelHead
from limpid.nn.norm import RMSNorm
from limpid.nn.position import Rotary


class SpeedrunConfig(Section):
    """Every number that shapes a speedrun model; saved beside its weights.

    context: the most tokens seen at once. d_model: width of the residual stream. n_layer: blocks. n_head: heads of
    queries. n_kv_head: heads of keys and values, each read by n_head / n_kv_head heads of queries. head_dim: width of a
    head. d_ff: width of the feed-forward layers. window: how many positions attention sees, its own counted; 0: all.
    long_every: every so many layers, counted from the last, one sees all. value_every: every so many layers, counted
    from the last, one has value embeddings; 0: none. soft_cap: the bound on the logits; 0: none. tie_embeddings: the
    output head is the token table. rope_base: of the rotary positions, as in the llama family. norm_eps: added to the
    mean square before its root. dropout: of the embeddings, of attention's weights and of what blocks add to the
    stream.
    """

    family: Literal["speedrun"] = "speedrun"
    vocab_size: Count
    context: Count
    d_model: Count
    n_layer: Count
    n_head: Count
    n_kv_head: Count
    head_dim: Count
    d_ff: Count
    window: Annotated[int, Field(ge=0)] = 0
    long_every: Count = 4
    value_every: Annotated[int, Field(ge=0)] = 2
    soft_cap: Annotated[float, Field(ge=0)] = 15.0
    tie_embeddings: bool = False
    rope_base: Annotated[float, Field(gt=1)] = 10_000.0
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
    """As llama's, but d_ff = 4 d_model, every head has its own keys, and the window is a quarter of the context."""
    d_model = given.get("d_model", 64 * depth)
    head_dim = given.get("head_dim", 64)
    n_head = given.get("n_head", max(1, d_model // head_dim))
    context = given.get("context", 256)
    return {
        "context": context,
        "d_model": d_model,
        "n_layer": depth,
        "n_head": n_head,
        "n_kv_head": n_head,
        "head_dim": head_dim,
        "d_ff": 4 * d_model,
        "window": max(1, context // 4),
    }


def _preset(n_layer: int, **others: Any) -> dict[str, Any]:
    shape = {"vocab_size": 32_768, "context": 2048, "window": 512}
    return dial(n_layer, {"d_model": 64 * n_layer, "head_dim": 128}) | shape | others


PRESETS: dict[str, dict[str, Any]] = {"speedrun-d12": _preset(12), "speedrun-d20": _preset(20)}
"""The widths and depths of nanochat's and modded-nanogpt's tracks; the arrangement of the parts is this file's."""


def speedrun(config: SpeedrunConfig) -> Decoder:
    """The model of a config. The residual branches' last matrices start at zero: no block has an output of its own."""
    embedding = Embedding(config.vocab_size, config.d_model, std=1.0 if not config.tie_embeddings else 0.02)
    head = LanguageModelHead(
        config.d_model, config.vocab_size, std=1e-3 if not config.tie_embeddings else 0.02, cap=config.soft_cap
    )
    if config.tie_embeddings:
        head.weight = embedding.weight
    from_last = range(config.n_layer - 1, -1, -1)
    return Decoder(
        config,
        embedding=embedding,
        rotary=Rotary(config.head_dim, config.rope_base),
        blocks=[SpeedrunBlock(config, _falls(n, config.value_every)) for n in from_last],
        norm=RMSNorm(config.d_model, eps=config.norm_eps),
        head=head,
        dropout=config.dropout,
        windows=[0 if _falls(n, config.long_every) else config.window for n in from_last],
    )


def _falls(from_last: int, every: int) -> bool:
    return every > 0 and from_last % every == 0


class SpeedrunBlock(nn.Module):
    """Attention with QK-norm and a ReLU^2 layer (So et al. 2021), behind three kinds of learned scalars.

    ``x <- a x + b x0``, where x0 is the stream as it entered the first block; then ``x + attention(norm(x))``, whose
    values are ``V + c E[token]`` with a table E of value embeddings (Zhou et al. 2024 add the first layer's values);
    then ``x + W2 relu(W1 norm(x))^2``. a, b and c, one of each a block, begin at 1, 0.1 and 1.

    Shapes: x (B, T, D) -> (B, T, D).
    """

    def __init__(self, config: SpeedrunConfig, has_values: bool) -> None:
        super().__init__()
        self.value_shape = (config.n_kv_head, config.head_dim)
        self.mix = nn.Parameter(torch.empty(2))
        self.value_embedding = None
        if has_values:
            width = config.n_kv_head * config.head_dim
            self.value_embedding = Embedding(config.vocab_size, width, std=config.d_model**-0.5)
            self.value_scale = nn.Parameter(torch.empty(1))
        self.attention_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        self.attention = Attention(
            config.d_model, config.n_head, config.n_kv_head, config.head_dim,
            qk_norm=True, norm_eps=config.norm_eps, dropout=config.dropout, output_std=0.0,
        )  # fmt: skip
        self.feed_forward_norm = RMSNorm(config.d_model, eps=config.norm_eps)
        self.feed_forward = FeedForward(config.d_model, config.d_ff, "relu2", output_std=0.0)
        self.dropout = Dropout(config.dropout)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        with torch.no_grad():
            self.mix.copy_(torch.tensor([1.0, 0.1]))
            if self.value_embedding is not None:
                self.value_scale.fill_(1.0)

    def forward(self, x: Tensor, context: Context, cache: LayerCache | None = None) -> Tensor:
        assert context.start is not None
        assert context.ids is not None
        mix = self.mix.to(x.dtype)
        x = mix[0] * x + mix[1] * context.start
        values = None
        if self.value_embedding is not None:
            values = self.value_embedding(context.ids).to(x.dtype) * self.value_scale.to(x.dtype)
            values = values.unflatten(-1, self.value_shape)  # (B, T, K, C)
        x = x + self.dropout(self.attention(self.attention_norm(x), context, cache, values))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
