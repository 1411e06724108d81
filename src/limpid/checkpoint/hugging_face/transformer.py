"""The transformer family as Hugging Face spells it: Marian's and BART's encoder-decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoint.hugging_face.fields import Fields
from limpid.checkpoint.hugging_face.rows import Layout, Row, fused, same
from limpid.core.errors import LimpidError
from limpid.models.transformer import TransformerConfig

MODEL_TYPES = ("marian", "bart")
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu", "gelu_new": "gelu_tanh"}
_BART_OFFSET = 2
"""Rows of BART's tables of positions before the first place."""


def read(fields: Fields) -> dict[str, Any]:
    """The keys of `TransformerConfig` that a config.json of one of `MODEL_TYPES` stands for."""
    bart = fields.must("model_type", *MODEL_TYPES) == "bart"
    d_model, vocab_size = fields.take("d_model"), fields.take("vocab_size")
    n_head, d_ff = fields.take("encoder_attention_heads"), fields.take("encoder_ffn_dim")
    fields.must("decoder_attention_heads", n_head)
    fields.must("decoder_ffn_dim", d_ff)
    fields.must("normalize_before", False)
    fields.must("add_final_layer_norm", False)
    fields.must("normalize_embedding", bart)
    fields.must("static_position_embeddings", not bart)
    fields.must("tie_word_embeddings", True)
    fields.must("share_encoder_decoder_embeddings", True)
    fields.must("decoder_vocab_size", vocab_size)
    for repeated in ("num_hidden_layers", "hidden_size", "num_attention_heads", "extra_pos_embeddings", "dropout"):
        fields.take(repeated, None)
    end = fields.take("eos_token_id", None)
    return {
        "family": "transformer",
        "vocab_size": vocab_size,
        "context": fields.take("max_position_embeddings"),
        "d_model": d_model,
        "n_layer": fields.take("decoder_layers"),
        "n_encoder_layer": fields.take("encoder_layers"),
        "n_head": n_head,
        "head_dim": d_model // n_head,
        "d_ff": d_ff,
        "activation": _ACTIVATIONS[fields.must("activation_function", "gelu", *_ACTIVATIONS)],
        "norm": "post",
        "positions": "learned" if bart else "sinusoidal_halves",
        "position_offset": _BART_OFFSET if bart else 0,
        "embedding_norm": bart,
        "scale_embeddings": fields.take("scale_embedding", False),
        "tie_embeddings": True,
        "logits_bias": fields.take("logits_bias", True),  # theirs always has one; limpid's says where it is all zeros
        "start_token": fields.take("decoder_start_token_id", None),
        "end_token": end[0] if isinstance(end, list) else end,
        "dropout": 0.0,
    }


def layout(config: TransformerConfig) -> Layout:
    """config.json and tensor names, Marian's or BART's.

    Raises:
        LimpidError: neither has the parts of this model.
    """
    bart = config.positions == "learned"
    needed = {"norm": "post", "tie_embeddings": True, "embedding_norm": bart, "norm_eps": 1e-5}
    needed |= {"position_offset": _BART_OFFSET if bart else 0, "head_dim": config.d_model // config.n_head}
    for key, value in needed.items():
        if (there := getattr(config, key)) != value:
            raise LimpidError(f"model.{key} = {there}: Hugging Face's {'BART' if bart else 'Marian'} has {value}.")
    theirs = {ours: name for name, ours in reversed(_ACTIVATIONS.items())}
    if config.activation not in theirs:
        raise LimpidError(f"model.activation = {config.activation}: Hugging Face's has {', '.join(theirs)} only.")
    table: dict[str, Any] = {
        "architectures": ["BartForConditionalGeneration" if bart else "MarianMTModel"],
        "model_type": "bart" if bart else "marian",
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "d_model": config.d_model,
        "activation_function": theirs[config.activation],
        "scale_embedding": config.scale_embeddings,
        "tie_word_embeddings": True,
        "decoder_start_token_id": config.start_token,
        "forced_eos_token_id": None,
        "dropout": 0.0,
    }
    for side, layers in {"encoder": config.n_encoder_layer, "decoder": config.n_layer}.items():
        table |= {f"{side}_layers": layers, f"{side}_attention_heads": config.n_head, f"{side}_ffn_dim": config.d_ff}
    if not bart:
        table |= {"decoder_vocab_size": config.vocab_size, "share_encoder_decoder_embeddings": True}
    turn = _Halves(config.d_model) if config.positions == "sinusoidal" else None
    rows = [same("embedding.weight", "model.shared.weight")]
    if config.logits_bias:
        rows.append(_row_vector("head.bias", "final_logits_bias"))
    else:
        table["logits_bias"] = False
    for side, layers in {"encoder": config.n_encoder_layer, "decoder": config.n_layer}.items():
        if bart:
            rows.append(same(f"{side}.positions.weight", f"model.{side}.embed_positions.weight"))
            rows += _pair(f"{side}.embedding_norm", f"model.{side}.layernorm_embedding")
        for number in range(layers):
            rows += _block(config, f"{side}.blocks.{number}.", f"model.{side}.layers.{number}.", side == "decoder")
    if turn is not None:
        rows = [turn.applied(row) for row in rows]
    ignored = () if bart else ("model.*.embed_positions.weight",)
    tied = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    return Layout(table, rows, ignored=(*ignored, "final_logits_bias"), tied=tied)


class _Halves:
    """Marian's sinusoidal positions are ours with all sines first: the same model, its D dimensions in another order.

    Layer norms and residual sums do not care for the order, so it is enough to reorder what writes to the residual
    stream and what reads from it.
    """

    def __init__(self, d_model: int) -> None:
        self.order = [*range(0, d_model, 2), *range(1, d_model, 2)]
        self.back = [self.order.index(i) for i in range(d_model)]

    def applied(self, row: Row) -> Row:
        """``row`` with the dimensions of theirs in Marian's order."""
        dim = self._dimension(row.ours)
        if dim is None:
            return row
        return row._replace(
            join=lambda parts: row.join([self._take(part, dim, self.back) for part in parts]),
            split=lambda whole: [self._take(part, dim, self.order) for part in row.split(whole)],
        )

    @staticmethod
    def _take(tensor: Tensor, dim: int, order: Sequence[int]) -> Tensor:
        return tensor.index_select(dim, torch.tensor(order, device=tensor.device))

    @staticmethod
    def _dimension(name: str) -> int | None:
        """Which dimension of a tensor runs along the residual stream."""
        module, _, leaf = name.rpartition(".")
        if module.endswith(("output", "down", "norm")):
            return 0
        if leaf == "weight" and module.endswith(("embedding", "qkv", "q", "kv", "up")):
            return 1
        return None


def _row_vector(ours: str, theirs: str) -> Row:
    return Row(ours, (theirs,), lambda parts: parts[0].reshape(-1), lambda whole: (whole[None],))


def _pair(ours: str, theirs: str) -> list[Row]:
    return [same(f"{ours}.{leaf}", f"{theirs}.{leaf}") for leaf in ("weight", "bias")]


def _block(config: TransformerConfig, ours: str, theirs: str, decoder: bool) -> list[Row]:
    width = config.d_model
    rows = []
    for leaf in ("weight", "bias"):
        parts = [f"{theirs}self_attn.{name}_proj.{leaf}" for name in "qkv"]
        rows.append(fused(f"{ours}attention.qkv.{leaf}", parts, (width, width, width)))
    rows += _pair(f"{ours}attention.output", f"{theirs}self_attn.out_proj")
    rows += _pair(f"{ours}attention_norm", f"{theirs}self_attn_layer_norm")
    if decoder:
        for leaf in ("weight", "bias"):
            parts = [f"{theirs}encoder_attn.{name}_proj.{leaf}" for name in "kv"]
            rows.append(fused(f"{ours}cross_attention.kv.{leaf}", parts, (width, width)))
        rows += _pair(f"{ours}cross_attention.q", f"{theirs}encoder_attn.q_proj")
        rows += _pair(f"{ours}cross_attention.output", f"{theirs}encoder_attn.out_proj")
        rows += _pair(f"{ours}cross_norm", f"{theirs}encoder_attn_layer_norm")
    rows += _pair(f"{ours}feed_forward.up", f"{theirs}fc1")
    rows += _pair(f"{ours}feed_forward.down", f"{theirs}fc2")
    rows += _pair(f"{ours}feed_forward_norm", f"{theirs}final_layer_norm")
    return rows
