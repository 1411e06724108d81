"""Tensor names and settings of GGUF files, made from the Hugging Face tables as llama.cpp's converter makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limpid.checkpoint.hugging_face.families import layout_of
from limpid.checkpoint.hugging_face.rows import Row
from limpid.core.errors import LimpidError

ARCHITECTURES = {
    "qwen3": "qwen3",
    "qwen2": "qwen2",
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen3_moe": "qwen3moe",
    "gpt2": "gpt2",
}
"""Hugging Face's model_type -> llama.cpp's general.architecture."""

_BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "ln_1": "attn_norm", "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp", "block_sparse_moe.gate": "ffn_gate_inp",
}  # fmt: skip
_WHOLE = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
}  # fmt: skip


class Part(NamedTuple):
    """One tensor of ours and what GGUF keeps of it. split, join: there and back, also on the meta device."""

    ours: str
    names: list[str]
    split: Callable[[Tensor], Sequence[Tensor]]
    join: Callable[[Sequence[Tensor]], Tensor]


class Plan(NamedTuple):
    """architecture: llama.cpp's name. settings: by its keys, without the architecture in front."""

    architecture: str
    settings: dict[str, Any]
    parts: list[Part]

    def pieces_of(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our named tensors, all or some, as GGUF names them."""
        return {
            name: piece
            for part in self.parts
            if part.ours in tensors
            for name, piece in zip(part.names, part.split(tensors[part.ours]), strict=True)
        }

    def ours_of(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `pieces_of`."""
        return {
            part.ours: part.join([pieces[name] for name in part.names])
            for part in self.parts
            if part.names[0] in pieces
        }


def plan(config: Any) -> Plan:
    """How llama.cpp keeps a model of ours.

    Raises:
        LimpidError: it has no architecture of these parts.
    """
    layout = layout_of(config)
    architecture = ARCHITECTURES.get(layout.config["model_type"])
    if architecture is None:
        raise LimpidError(f"llama.cpp has no architecture of this {config.family} model's parts; use --to hf.")
    for key, value in _ELSEWHERE.items():
        if (there := getattr(config, key, value)) != value:
            raise LimpidError(f"model.{key} = {there}: llama.cpp's {architecture} has {value}; use --to hf.")
    if getattr(config, "window", 0):
        raise LimpidError(f"model.window = {config.window}: llama.cpp's {architecture} sees the whole context.")
    return Plan(architecture, _settings(config), [_part(row, architecture, config) for row in layout.rows])


_ELSEWHERE = {"activation": "gelu_tanh", "rope_scaling": None, "normalise_experts": True}
"""Parts that a family may have otherwise, and llama.cpp's architectures (as written here) may not."""


def _part(row: Row, architecture: str, config: Any) -> Part:
    if row.ours.endswith("experts.gate_up"):  # (E, 2F, D), of which they keep halves of all experts together
        block = f"blk.{row.ours.split('.')[1]}."
        names = [f"{block}ffn_gate_exps.weight", f"{block}ffn_up_exps.weight"]
        return Part(row.ours, names, lambda t: t.chunk(2, dim=1), lambda pieces: torch.cat(list(pieces), dim=1))
    if row.ours.endswith("experts.down"):
        name = f"blk.{row.ours.split('.')[1]}.ffn_down_exps.weight"
        return Part(row.ours, [name], lambda t: (t,), lambda pieces: pieces[0])
    names = [_name(theirs) for theirs in row.theirs]
    if row.transposed:
        return Part(row.ours, names, lambda t: (t,), lambda pieces: pieces[0])
    if architecture == "llama" and ".qkv." in row.ours:
        heads = (config.n_head, config.n_kv_head)

        def turn(pieces: Sequence[Tensor], *, back: bool) -> list[Tensor]:
            q, k, v = pieces
            return [_interleave(q, heads[0], back=back), _interleave(k, heads[1], back=back), v]

        return Part(row.ours, names, lambda t: turn(row.split(t), back=False), lambda p: row.join(turn(p, back=True)))
    return Part(row.ours, names, row.split, row.join)


def _name(theirs: str) -> str:
    """GGUF's name of one of Hugging Face's: model.layers.7.mlp.up_proj.weight is blk.7.ffn_up.weight."""
    stem, _, leaf = theirs.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{leaf}"
    _, _, number, inner = stem.split(".", 3)
    return f"blk.{number}.{_BLOCK[inner]}.{leaf}"


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
    if config.n_expert:
        settings |= {"expert_count": config.n_expert, "expert_used_count": config.experts_per_token}
        settings |= {"expert_feed_forward_length": config.d_ff}
    return settings | {
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": float(config.norm_eps),
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": float(config.rope_base),
    }
