"""The gpt family as Hugging Face spells it: GPT-2, and GPT-1, which they call openai-gpt."""

from __future__ import annotations

from typing import Any

from limpid.checkpoint.hugging_face.fields import Fields
from limpid.checkpoint.hugging_face.rows import Layout, Row, same, transposed
from limpid.core.errors import LimpidError
from limpid.models.gpt import GptConfig

MODEL_TYPES = ("gpt2", "openai-gpt")
_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
# GPT-1's code calls the approximation by tanh "gelu".
_GPT1_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu"}


def read(fields: Fields) -> dict[str, Any]:
    """The keys of `GptConfig` that a config.json of one of `MODEL_TYPES` stands for."""
    first = fields.must("model_type", *MODEL_TYPES) == "openai-gpt"
    names = _GPT1_ACTIVATIONS if first else _ACTIVATIONS
    activation = fields.must(*("afn", "gelu") if first else ("activation_function", "gelu_new"), *names)
    if not first:
        fields.must("scale_attn_weights", True)
        fields.must("scale_attn_by_inverse_layer_idx", False)
        fields.must("reorder_and_upcast_attn", False, True)
    d_model = fields.take("n_embd")
    for old in ("n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop"):
        fields.take(old, None)
    return {
        "family": "gpt",
        "vocab_size": fields.take("vocab_size"),
        "context": fields.take("n_positions"),
        "d_model": d_model,
        "n_layer": fields.take("n_layer"),
        "n_head": fields.take("n_head"),
        "d_ff": fields.take("n_inner", 4 * d_model),
        "norm": "post" if first else "pre",
        "activation": names[activation],
        "positions": "learned",
        "tie_embeddings": fields.take("tie_word_embeddings", True),
        "norm_eps": fields.take("layer_norm_epsilon", 1e-5),
    }


def layout(config: GptConfig) -> Layout:
    """config.json and tensor names: GPT-2's for pre-norm, GPT-1's for post-norm.

    Raises:
        LimpidError: a part that neither of them has.
    """
    if config.positions != "learned":
        raise LimpidError(
            f"model.positions = {config.positions}: Hugging Face's GPT has learned positions; "
            "use --to two-files, or train with model.positions=learned."
        )
    first = config.norm == "post"
    theirs = {ours: name for name, ours in reversed((_GPT1_ACTIVATIONS if first else _ACTIVATIONS).items())}
    if config.activation not in theirs:
        raise LimpidError(f"model.activation = {config.activation}: Hugging Face's GPT-1 has {', '.join(theirs)} only.")
    if first and config.d_ff != 4 * config.d_model:
        raise LimpidError(f"model.d_ff = {config.d_ff}: Hugging Face's GPT-1 has 4 x d_model only.")
    table: dict[str, Any] = {
        "architectures": ["OpenAIGPTLMHeadModel" if first else "GPT2LMHeadModel"],
        "model_type": "openai-gpt" if first else "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "n_embd": config.d_model,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "layer_norm_epsilon": config.norm_eps,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": config.tie_embeddings,
    }
    if first:
        table["afn"] = theirs[config.activation]
    else:
        table |= {"activation_function": theirs[config.activation], "n_inner": config.d_ff, "use_cache": True}
    tokens, places = ("tokens_embed", "positions_embed") if first else ("wte", "wpe")
    rows = [
        same("embedding.weight", f"transformer.{tokens}.weight"),
        same("positions.weight", f"transformer.{places}.weight"),
    ]
    for number in range(config.n_layer):
        rows += _block(f"blocks.{number}.", f"transformer.h.{number}.")
    if not first:
        rows += [same(f"norm.{leaf}", f"transformer.ln_f.{leaf}") for leaf in ("weight", "bias")]
    if not config.tie_embeddings:
        rows.append(same("head.weight", "lm_head.weight"))
    return Layout(table, rows, ignored=("*.attn.bias", "*.attn.masked_bias"), prefix="transformer.")


def _block(ours: str, theirs: str) -> list[Row]:
    matrices = {"attention.qkv": "attn.c_attn", "attention.output": "attn.c_proj"}
    matrices |= {"feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj"}
    norms = {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"}
    rows = []
    for name, other in matrices.items():
        rows += [
            transposed(f"{ours}{name}.weight", f"{theirs}{other}.weight"),
            same(f"{ours}{name}.bias", f"{theirs}{other}.bias"),
        ]
    for name, other in norms.items():
        rows += [same(f"{ours}{name}.{leaf}", f"{theirs}{other}.{leaf}") for leaf in ("weight", "bias")]
    return rows
