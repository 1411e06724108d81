"""The llama family as Hugging Face spells it: Llama, Mistral, Mixtral, Qwen2, Qwen3 and Qwen3-MoE."""

from __future__ import annotations

from typing import Any, NamedTuple

from limpid.checkpoint.hugging_face.fields import Fields
from limpid.checkpoint.hugging_face.rows import Layout, Row, fused, same, stacked
from limpid.core.errors import LimpidError
from limpid.models.llama import LlamaConfig

MODEL_TYPES = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe")
_ROPE_KINDS = {"linear": "linear", "llama3": "llama3", "yarn": "yarn"}


class Experts(NamedTuple):
    """How a mixture of experts is spelt: the router, and the gate, up and down matrices of expert {e}."""

    router: str
    gate: str
    up: str
    down: str


_EXPERTS = {
    "mixtral": Experts(
        "block_sparse_moe.gate",
        "block_sparse_moe.experts.{e}.w1",
        "block_sparse_moe.experts.{e}.w3",
        "block_sparse_moe.experts.{e}.w2",
    ),
    "qwen3_moe": Experts(
        "mlp.gate", "mlp.experts.{e}.gate_proj", "mlp.experts.{e}.up_proj", "mlp.experts.{e}.down_proj"
    ),
}


def read(fields: Fields) -> dict[str, Any]:
    """The keys of `LlamaConfig` that a config.json of one of `MODEL_TYPES` stands for."""
    kind = fields.must("model_type", *MODEL_TYPES)
    n_head, d_model = fields.take("num_attention_heads"), fields.take("hidden_size")
    context = fields.take("max_position_embeddings")
    fields.must("hidden_act", "silu")
    fields.must("mlp_bias", False)
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
        "qk_norm": kind in ("qwen3", "qwen3_moe"),
        "qkv_bias": kind == "qwen2",
        "tie_embeddings": fields.take("tie_word_embeddings", False),
        "window": _window(fields, kind, context),
        "norm_eps": fields.take("rms_norm_eps", 1e-6),
        **_rope(fields),
        **_experts(fields, kind),
    }


def _experts(fields: Fields, kind: str) -> dict[str, Any]:
    if kind not in _EXPERTS:
        return {}
    if kind == "mixtral":
        return {
            "n_expert": fields.take("num_local_experts", 8),
            "experts_per_token": fields.take("num_experts_per_tok", 2),
            "balance_loss": fields.take("router_aux_loss_coef", 0.001),
        }
    fields.must("decoder_sparse_step", 1)
    if fields.take("mlp_only_layers", []):
        fields.refuse("mlp_only_layers", "limpid builds experts in every layer or in none")
    newer = fields.take("num_local_experts", 0)  # how transformers 5 writes what is num_experts on the hub
    return {
        "n_expert": newer or fields.take("num_experts"),
        "experts_per_token": fields.take("num_experts_per_tok"),
        "normalise_experts": fields.take("norm_topk_prob", False),
        "d_ff": fields.take("moe_intermediate_size"),
        "balance_loss": fields.take("router_aux_loss_coef", 0.001),
    }


def _rope(fields: Fields) -> dict[str, Any]:
    """Base and scaling of the rotary positions: in rope_parameters, or before transformers 5 in rope_scaling."""
    name = "rope_parameters" if fields.table.get("rope_parameters") else "rope_scaling"
    rope = dict(fields.take(name, {}))
    fields.take("rope_scaling", {})
    beside = fields.take("rope_theta", 10_000.0)
    keys: dict[str, Any] = {"rope_base": float(rope.pop("rope_theta", None) or beside)}
    kind = rope.pop("rope_type", None) or rope.pop("type", "default")
    rope.pop("type", None)
    if rope.pop("partial_rotary_factor", 1.0) != 1.0 or fields.take("partial_rotary_factor", 1.0) != 1.0:
        fields.refuse(name, "limpid turns all of a head, not a part of it")
    if kind == "default":
        return keys
    original = rope.pop("original_max_position_embeddings", None) or fields.take("original_max_position_embeddings", 0)
    scaling: dict[str, Any] = {"kind": kind, "factor": rope.pop("factor", 1.0)}
    if kind in ("llama3", "yarn"):
        scaling["original_context"] = original or fields.take("max_position_embeddings")
    if kind == "llama3":
        scaling |= {"low": rope.pop("low_freq_factor"), "high": rope.pop("high_freq_factor")}
    elif kind == "yarn":
        scaling |= {"fast": rope.pop("beta_fast", None) or 32.0, "slow": rope.pop("beta_slow", None) or 1.0}
        scaling |= {"truncate": rope.pop("truncate", True), "attention_factor": rope.pop("attention_factor", None)}
    elif kind != "linear":
        fields.refuse(name, f"limpid scales rotary positions by {', '.join(_ROPE_KINDS)}")
    if any(value is not None for value in rope.values()):
        fields.refuse(name, f"limpid does not know {', '.join(sorted(rope))} in it")
    return keys | {"rope_scaling": scaling}


def _window(fields: Fields, kind: str, context: int) -> int:
    """The sliding window of every layer, 0 for none; layers of both sorts are refused."""
    window, kinds = fields.take("sliding_window", 0), set(fields.take("layer_types", []))
    used = fields.take("use_sliding_window", not kind.startswith("qwen"))
    first = fields.take("max_window_layers", 0)
    if not used or window >= context or kind == "llama":
        window = 0
    if kinds > {"full_attention"} or (window and kinds == {"full_attention"}):
        fields.refuse("layer_types", "limpid builds the same attention in every layer")
    if window and not kinds and kind.startswith("qwen") and first > 0:
        fields.refuse("max_window_layers", "limpid builds the same attention in every layer")
    return int(window)


def layout(config: LlamaConfig) -> Layout:
    """config.json and tensor names, in whichever of their architectures has the parts of this model.

    Raises:
        LimpidError: none has.
    """
    kind, architecture = _architecture(config)
    rope = _rope_out(config)
    table = {
        "architectures": [architecture],
        "model_type": kind,
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
        "rope_theta": config.rope_base,  # where transformers 4 looks; 5 looks in rope_parameters
        "rope_parameters": rope | {"rope_theta": config.rope_base},
        "rope_scaling": rope if config.rope_scaling else None,
        "attention_dropout": 0.0,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": True,
    }
    if kind in ("llama", "qwen3", "qwen3_moe"):
        table["attention_bias"] = False
    if kind in ("mistral", "mixtral"):
        table["sliding_window"] = config.window or None
    elif kind.startswith("qwen"):
        table |= {"use_sliding_window": bool(config.window), "sliding_window": config.window or None}
        table["max_window_layers"] = 0 if config.window else config.n_layer
    if kind == "mixtral":
        table |= {"num_local_experts": config.n_expert}
    elif kind == "qwen3_moe":
        table |= {"num_experts": config.n_expert, "moe_intermediate_size": config.d_ff, "decoder_sparse_step": 1}
        table |= {"norm_topk_prob": config.normalise_experts, "mlp_only_layers": []}
    if config.n_expert:
        table |= {"num_experts_per_tok": config.experts_per_token, "router_aux_loss_coef": config.balance_loss}
    rows = [same("embedding.weight", "model.embed_tokens.weight")]
    for number in range(config.n_layer):
        rows += _block(config, kind, f"blocks.{number}.", f"model.layers.{number}.")
    rows.append(same("norm.weight", "model.norm.weight"))
    if not config.tie_embeddings:
        rows.append(same("head.weight", "lm_head.weight"))
    return Layout(table, rows, ignored=("*.rotary_emb.inv_freq",), prefix="model.")


def _architecture(config: LlamaConfig) -> tuple[str, str]:
    """model_type and the class of transformers."""
    if config.n_expert and not config.qkv_bias:
        if config.qk_norm:
            return "qwen3_moe", "Qwen3MoeForCausalLM"
        if config.normalise_experts:
            return "mixtral", "MixtralForCausalLM"
    elif config.qk_norm and not config.qkv_bias:
        return "qwen3", "Qwen3ForCausalLM"
    elif config.qkv_bias and not config.qk_norm and not config.n_expert:
        return "qwen2", "Qwen2ForCausalLM"
    elif not config.qk_norm and not config.n_expert:
        return ("mistral", "MistralForCausalLM") if config.window else ("llama", "LlamaForCausalLM")
    parts = f"qk_norm={config.qk_norm}, qkv_bias={config.qkv_bias}, n_expert={config.n_expert}, "
    raise LimpidError(
        f"no architecture of Hugging Face's has {parts}normalise_experts={config.normalise_experts} together."
    )


def _rope_out(config: LlamaConfig) -> dict[str, Any]:
    scaling = config.rope_scaling
    if scaling is None:
        return {"rope_type": "default"}
    rope: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind != "linear":
        rope["original_max_position_embeddings"] = scaling.original_context
    if scaling.kind == "llama3":
        rope |= {"low_freq_factor": scaling.low, "high_freq_factor": scaling.high}
    if scaling.kind == "yarn":
        rope |= {"beta_fast": scaling.fast, "beta_slow": scaling.slow, "truncate": scaling.truncate}
        if scaling.attention_factor is not None:
            rope["attention_factor"] = scaling.attention_factor
    return rope


def _block(config: LlamaConfig, kind: str, ours: str, theirs: str) -> list[Row]:
    q, kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
    attention = [f"{theirs}self_attn.{name}_proj" for name in "qkv"]
    rows = [
        same(f"{ours}attention_norm.weight", f"{theirs}input_layernorm.weight"),
        fused(f"{ours}attention.qkv.weight", [f"{name}.weight" for name in attention], (q, kv, kv)),
        same(f"{ours}attention.output.weight", f"{theirs}self_attn.o_proj.weight"),
        same(f"{ours}feed_forward_norm.weight", f"{theirs}post_attention_layernorm.weight"),
    ]
    if config.qkv_bias:
        rows.append(fused(f"{ours}attention.qkv.bias", [f"{name}.bias" for name in attention], (q, kv, kv)))
    if config.qk_norm:
        rows += [same(f"{ours}attention.{name}_norm.weight", f"{theirs}self_attn.{name}_norm.weight") for name in "qk"]
    if config.n_expert:
        return rows + _experts_rows(config, _EXPERTS[kind], f"{ours}feed_forward.", theirs)
    gate_up = [f"{theirs}mlp.gate_proj.weight", f"{theirs}mlp.up_proj.weight"]
    return [
        *rows,
        fused(f"{ours}feed_forward.gate_up.weight", gate_up, (config.d_ff, config.d_ff)),
        same(f"{ours}feed_forward.down.weight", f"{theirs}mlp.down_proj.weight"),
    ]


def _experts_rows(config: LlamaConfig, names: Experts, ours: str, theirs: str) -> list[Row]:
    def of_each(*stems: str) -> list[str]:
        return [f"{theirs}{stem.format(e=expert)}.weight" for expert in range(config.n_expert) for stem in stems]

    return [
        same(f"{ours}router.weight", f"{theirs}{names.router}.weight"),
        stacked(f"{ours}experts.gate_up", of_each(names.gate, names.up), (config.d_ff, config.d_ff)),
        stacked(f"{ours}experts.down", of_each(names.down)),
    ]
