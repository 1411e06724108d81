"""transformers' model for one of ours, every tensor copied over one by one: the outside judge of every family."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn

from limpid.models.decoder import Decoder
from limpid.nn.attention import Attention
from limpid.nn.experts import MixtureOfExperts
from limpid.nn.feedforward import FeedForward, SwiGLU

NOBODY = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "attn_implementation": "eager"}


def reference(model: Decoder) -> Any:
    """The GPT-1, GPT-2, Llama, Mistral, Qwen or Mixtral that computes what ``model`` should."""
    theirs, tensors = _gpt(model) if model.config.family == "gpt" else _llama(model)
    names = dict(theirs.named_parameters(remove_duplicate=False))
    assert names.keys() == tensors.keys()
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(tensors[name])
    return theirs.eval()


def _named(module: nn.Module, at: str) -> dict[str, Tensor]:
    return {f"{at}.{leaf}": parameter for leaf, parameter in module.named_parameters()}


def _gpt(model: Decoder) -> tuple[nn.Module, dict[str, Tensor]]:
    config = model.config
    shape = {
        "vocab_size": config.vocab_size, "n_positions": config.context, "n_embd": config.d_model,
        "n_layer": config.n_layer, "n_head": config.n_head, "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
    } | NOBODY  # fmt: skip
    theirs: nn.Module
    if config.norm == "post":
        theirs = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**shape, afn="gelu"))
        tables = {"tokens_embed": model.embedding, "positions_embed": model.positions}
    else:
        activation = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}[config.activation]
        shape |= {"n_inner": config.d_ff, "activation_function": activation}
        theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape))
        tables = {"wte": model.embedding, "wpe": model.positions, "ln_f": model.norm}
    tensors: dict[str, Tensor] = {"lm_head.weight": model.head.weight}
    for name, module in tables.items():
        tensors |= _named(module, f"transformer.{name}")
    for number, block in enumerate(model.blocks):
        at = f"transformer.h.{number}."
        assert isinstance(block.attention, Attention)
        assert isinstance(block.feed_forward, FeedForward)
        products = {
            "attn.c_attn": block.attention.qkv, "attn.c_proj": block.attention.output,
            "mlp.c_fc": block.feed_forward.up, "mlp.c_proj": block.feed_forward.down,
        }  # fmt: skip
        for name, linear in products.items():  # their matrices are stored input by output
            tensors[f"{at}{name}.weight"] = linear.weight.T
            assert linear.bias is not None
            tensors[f"{at}{name}.bias"] = linear.bias
        tensors |= _named(block.attention_norm, f"{at}ln_1") | _named(block.feed_forward_norm, f"{at}ln_2")
    return theirs, tensors


def _rope(config: Any) -> dict[str, Any]:
    scaling = config.rope_scaling
    if scaling is None:
        return {"rope_type": "default", "rope_theta": config.rope_base}
    table = {"rope_type": scaling.kind, "rope_theta": config.rope_base, "factor": scaling.factor}
    if scaling.kind != "linear":
        table["original_max_position_embeddings"] = scaling.original_context
    if scaling.kind == "llama3":
        table |= {"low_freq_factor": scaling.low, "high_freq_factor": scaling.high}
    if scaling.kind == "yarn":
        table |= {"beta_fast": scaling.fast, "beta_slow": scaling.slow, "truncate": scaling.truncate}
        table |= {"attention_factor": scaling.attention_factor} if scaling.attention_factor else {}
    return table


def _llama(model: Decoder) -> tuple[nn.Module, dict[str, Tensor]]:
    config = model.config
    shape = {
        "vocab_size": config.vocab_size, "hidden_size": config.d_model, "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layer, "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head, "head_dim": config.head_dim, "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": config.context, "tie_word_embeddings": config.tie_embeddings,
        "rope_parameters": _rope(config),
    } | NOBODY  # fmt: skip
    kind = "Llama"
    if config.n_expert:
        shape |= {"num_experts_per_tok": config.experts_per_token, "experts_implementation": "eager"}
        kind = "Qwen3Moe" if config.qk_norm else "Mixtral"
        shape |= {"num_experts" if config.qk_norm else "num_local_experts": config.n_expert}
        shape |= {"moe_intermediate_size": config.d_ff, "norm_topk_prob": config.normalise_experts}
    elif config.qk_norm:
        kind = "Qwen3"
    elif config.qkv_bias:
        kind = "Qwen2"
    elif config.window:
        kind = "Mistral"
    if kind in ("Mistral", "Mixtral"):
        shape["sliding_window"] = config.window or None
    theirs = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**shape))
    tensors = _named(model.embedding, "model.embed_tokens") | _named(model.norm, "model.norm")
    tensors["lm_head.weight"] = model.head.weight
    widths = [n * config.head_dim for n in (config.n_head, config.n_kv_head, config.n_kv_head)]
    for number, block in enumerate(model.blocks):
        at = f"model.layers.{number}."
        attention, feed_forward = block.attention, block.feed_forward
        assert isinstance(attention, Attention)
        for leaf, whole in attention.qkv.named_parameters():
            for name, part in zip("qkv", whole.split(widths), strict=True):
                tensors[f"{at}self_attn.{name}_proj.{leaf}"] = part
        tensors |= _named(attention.output, f"{at}self_attn.o_proj")
        tensors |= _named(attention.q_norm, f"{at}self_attn.q_norm")
        tensors |= _named(attention.k_norm, f"{at}self_attn.k_norm")
        tensors |= _named(block.attention_norm, f"{at}input_layernorm")
        tensors |= _named(block.feed_forward_norm, f"{at}post_attention_layernorm")
        if isinstance(feed_forward, MixtureOfExperts):
            tensors |= _named(feed_forward.router, f"{at}mlp.gate")
            tensors[f"{at}mlp.experts.gate_up_proj"] = feed_forward.experts.gate_up
            tensors[f"{at}mlp.experts.down_proj"] = feed_forward.experts.down
        else:
            assert isinstance(feed_forward, SwiGLU)
            gate, up = feed_forward.gate_up.weight.chunk(2)
            tensors |= {f"{at}mlp.gate_proj.weight": gate, f"{at}mlp.up_proj.weight": up}
            tensors |= _named(feed_forward.down, f"{at}mlp.down_proj")
    return theirs, tensors
