"""Tensor names and settings of GGUF files, made from the Hugging Face tables as llama.cpp's converter makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpid.checkpoint.hugging_face.families import layout_of
from limpid.checkpoint.hugging_face.rows import Row
from limpid.core.errors import LimpidError

ARCHITECTURES = {"qwen3": "qwen3", "qwen2": "qwen2", "llama": "llama", "mistral": "llama", "gpt2": "gpt2"}
"""Hugging Face's model_type -> llama.cpp's general.architecture."""

_BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "ln_1": "attn_norm", "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}  # fmt: skip
_WHOLE = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
}  # fmt: skip


class Piece(NamedTuple):
    """One tensor of a GGUF file. turn: the change it needs from theirs, and back."""

    name: str
    turn: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


class Plan(NamedTuple):
    """architecture: llama.cpp's name. rows: each row of the Hugging Face table with the pieces its tensors become."""

    architecture: str
    settings: dict[str, Any]
    rows: list[tuple[Row, list[Piece]]]

    def pieces_of(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our named tensors, all or some, as GGUF names them."""
        return {
            piece.name: piece.turn(part)
            for row, pieces in self.rows
            if row.ours in tensors
            for piece, part in zip(pieces, row.split(tensors[row.ours]), strict=True)
        }

    def ours_of(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `pieces_of`."""
        return {
            row.ours: row.join([piece.back(parts[piece.name]) for piece in pieces])
            for row, pieces in self.rows
            if pieces[0].name in parts
        }


def plan(config: Any) -> Plan:
    """How llama.cpp keeps a model of ours.

    Raises:
        LimpidError: it has no architecture of these parts.
    """
    layout = layout_of(config)
    theirs = layout.config
    architecture = ARCHITECTURES.get(theirs["model_type"])
    if architecture is None or (architecture == "gpt2" and theirs["activation_function"] == "relu"):
        raise LimpidError(f"llama.cpp has no architecture of this {config.family} model's parts; use --to hf.")
    rows = [(row, [_piece(name, row, architecture, config) for name in row.theirs]) for row in layout.rows]
    return Plan(architecture, _settings(config), rows)


def _piece(theirs: str, row: Row, architecture: str, config: Any) -> Piece:
    stem, _, leaf = theirs.rpartition(".")
    if stem in _WHOLE:
        name = f"{_WHOLE[stem]}.{leaf}"
    else:
        _, _, number, inner = stem.split(".", 3)  # model.layers.7.mlp.up_proj, transformer.h.7.mlp.c_fc
        name = f"blk.{number}.{_BLOCK[inner]}.{leaf}"
    if row.transposed:
        return Piece(name, torch.t, torch.t)
    if architecture == "llama" and stem.endswith(("q_proj", "k_proj")):
        heads = config.n_head if stem.endswith("q_proj") else config.n_kv_head
        return Piece(name, lambda t: _interleave(t, heads), lambda t: _interleave(t, heads, back=True))
    return Piece(name, _unchanged, _unchanged)


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _interleave(tensor: Tensor, heads: int, *, back: bool = False) -> Tensor:
    """llama.cpp's llama turns neighbours (x[2i], x[2i+1]) where ours and Hugging Face's turn (x[i], x[i + C/2])."""
    inner = (-1, 2) if back else (2, -1)
    return tensor.view(heads, *inner, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _settings(config: Any) -> dict[str, Any]:
    """The numbers of the model, by llama.cpp's keys without the architecture in front."""
    settings = {
        "vocab_size": config.vocab_size,
        "context_length": config.context,
        "embedding_length": config.d_model,
        "block_count": config.n_layer,
        "feed_forward_length": config.d_ff,
        "attention.head_count": config.n_head,
        "attention.head_count_kv": config.n_kv_head,
    }
    if config.family == "gpt":
        return settings | {"attention.layer_norm_epsilon": float(config.norm_eps)}
    return settings | {
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.norm_eps),
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": float(config.rope_base),
    }
