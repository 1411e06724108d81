"""The llama family as Hugging Face spells it: Llama, Mistral, Qwen2 and Qwen3."""

from __future__ import annotations

from typing import Any

from limpid.checkpoint.hugging_face.fields import Fields
from limpid.checkpoint.hugging_face.rows import Layout, Row, fused, same
from limpid.models.llama import LlamaConfig

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")


def read(fields: Fields) -> dict[str, Any]:
    """The keys of `LlamaConfig` that a config.json of one of `MODEL_TYPES` stands for."""
    kind = fields.must("model_type", *MODEL_TYPES)
    n_head, d_model = fields.take("num_attention_heads"), fields.take("hidden_size")
    context = fields.take("max_position_embeddings")
    fields.must("hidden_act", "silu")
    fields.must("mlp_bias", False)
    _window(fields, context)
    if kind in ("llama", "qwen3"):
        fields.must("attention_bias", False)
    return {
        "family": "llama",
        "vocab_size": fields.take("vocab_size"),
        "context": context,
        "d_model": d_model,
        "n_layer": fields.take("num_hidden_layers"),
        "n_head": n_head,
        "n_kv_head": fields.take("num_key_value_heads", n_head),
        "head_dim": fields.take("head_dim", d_model // n_head),
        "d_ff": fields.take("intermediate_size"),
        "qk_norm": kind == "qwen3",
        "tie_embeddings": fields.take("tie_word_embeddings", False),
        "rope_base": _rope(fields),
        "norm_eps": fields.take("rms_norm_eps", 1e-6),
    }


def _rope(fields: Fields) -> float:
    """The base of the rotary positions: in rope_parameters, or (before transformers 5) beside rope_scaling."""
    name = "rope_parameters" if fields.table.get("rope_parameters") else "rope_scaling"
    rope = fields.take(name, {})
    fields.take("rope_scaling", {})
    base = float(rope.get("rope_theta") or fields.take("rope_theta", 10_000.0))
    fields.take("rope_theta", 0)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        fields.refuse(name, "limpid builds unscaled rotary positions")
    if rope.get("partial_rotary_factor", 1.0) != 1.0 or fields.take("partial_rotary_factor", 1.0) != 1.0:
        fields.refuse(name, "limpid turns all of a head, not a part of it")
    return base


def _window(fields: Fields, context: int) -> None:
    """Sliding windows are refused unless they are as long as the context, and so change nothing."""
    window, used = fields.take("sliding_window", context), fields.take("use_sliding_window", True)
    kinds = set(fields.take("layer_types", ["full_attention"]))
    if kinds != {"full_attention"} and not (kinds == {"sliding_attention"} and window >= context):
        fields.refuse("layer_types", "limpid builds full attention in every layer")
    if used and window < context:
        fields.refuse("sliding_window", f"limpid builds windows of the whole context ({context})")


def layout(config: LlamaConfig) -> Layout:
    """config.json and tensor names: Qwen3's architecture with QK-norm, Llama's without."""
    architecture, model_type = ("Qwen3ForCausalLM", "qwen3") if config.qk_norm else ("LlamaForCausalLM", "llama")
    table = {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_ff,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": True,
    }
    if model_type == "llama":
        table["mlp_bias"] = False
    rows = [same("embedding.weight", "model.embed_tokens.weight")]
    for number in range(config.n_layer):
        rows += _block(config, f"blocks.{number}.", f"model.layers.{number}.")
    rows.append(same("norm.weight", "model.norm.weight"))
    if not config.tie_embeddings:
        rows.append(same("head.weight", "lm_head.weight"))
    return Layout(table, rows, ignored=("*.rotary_emb.inv_freq",), prefix="model.")


def _block(config: LlamaConfig, ours: str, theirs: str) -> list[Row]:
    q, kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
    attention = [f"{theirs}self_attn.{name}_proj" for name in "qkv"]
    rows = [
        same(f"{ours}attention_norm.weight", f"{theirs}input_layernorm.weight"),
        fused(f"{ours}attention.qkv.weight", [f"{name}.weight" for name in attention], (q, kv, kv)),
        same(f"{ours}attention.output.weight", f"{theirs}self_attn.o_proj.weight"),
        same(f"{ours}feed_forward_norm.weight", f"{theirs}post_attention_layernorm.weight"),
        fused(
            f"{ours}feed_forward.gate_up.weight",
            [f"{theirs}mlp.gate_proj.weight", f"{theirs}mlp.up_proj.weight"],
            (config.d_ff, config.d_ff),
        ),
        same(f"{ours}feed_forward.down.weight", f"{theirs}mlp.down_proj.weight"),
    ]
    if config.qk_norm:
        rows += [
            same(f"{ours}attention.q_norm.weight", f"{theirs}self_attn.q_norm.weight"),
            same(f"{ours}attention.k_norm.weight", f"{theirs}self_attn.k_norm.weight"),
        ]
    return rows
