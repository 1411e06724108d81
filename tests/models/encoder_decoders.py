"""Small encoder-decoders with random weights, and their twins in transformers."""

from __future__ import annotations

from typing import Any

import torch

from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.registry import build
from limpid.models.transformer import TransformerConfig

SHAPE = {
    "vocab_size": 53, "context": 48, "d_model": 32, "n_layer": 3, "n_encoder_layer": 2, "n_head": 4, "head_dim": 8,
    "d_ff": 56, "dropout": 0.0,
}  # fmt: skip
MARIAN = {
    "activation": "silu",
    "positions": "sinusoidal_halves",
    "logits_bias": True,
    "start_token": 52,
    "end_token": 0,
}
BART = {
    "activation": "gelu", "positions": "learned", "position_offset": 2, "embedding_norm": True,
    "scale_embeddings": False, "logits_bias": True, "start_token": 2, "end_token": 2,
}  # fmt: skip


def random_transformer(seed: int = 0, **changes: object) -> EncoderDecoder:
    """Every matrix, norm and bias random: zeros and ones, with which fresh ones begin, would hide mistakes."""
    model: EncoderDecoder = build(TransformerConfig.model_validate(SHAPE | changes), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * 0.2)
            else:
                parameter.copy_(0.2 * noise + (1.0 if name.endswith("norm.weight") else 0.0))
    return model.eval()


def twin(model: EncoderDecoder) -> Any:
    """transformers' model of the same shape (Marian, or BART where positions are learnt), every tensor copied over."""
    from transformers import BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel

    config = model.config
    learned = config.positions == "learned"
    special = {"pad_token_id": 1, "bos_token_id": 0, "forced_eos_token_id": None}
    if not learned:
        special = {"pad_token_id": 52, "forced_eos_token_id": None}
    shape = {
        "vocab_size": config.vocab_size, "d_model": config.d_model, "max_position_embeddings": config.context,
        "encoder_layers": config.n_encoder_layer, "decoder_layers": config.n_layer,
        "encoder_attention_heads": config.n_head, "decoder_attention_heads": config.n_head,
        "encoder_ffn_dim": config.d_ff, "decoder_ffn_dim": config.d_ff, "activation_function": config.activation,
        "scale_embedding": config.scale_embeddings, "dropout": 0.0, "attn_implementation": "eager",
        "decoder_start_token_id": config.start_token, "eos_token_id": config.end_token, **special,
    }  # fmt: skip
    theirs = BartForConditionalGeneration(BartConfig(**shape)) if learned else MarianMTModel(MarianConfig(**shape))
    tensors = {"final_logits_bias": model.head.bias[None], "model.shared.weight": model.embedding.weight}
    tensors["lm_head.weight"] = model.embedding.weight
    for side, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
        at = f"model.{side}."
        tensors[f"{at}embed_tokens.weight"] = model.embedding.weight
        if learned:
            tensors[f"{at}embed_positions.weight"] = stack.positions.weight
            _copy_linear(tensors, f"{at}layernorm_embedding", stack.embedding_norm)
        for number, block in enumerate(stack.blocks):
            layer = f"{at}layers.{number}."
            _copy_attention(tensors, f"{layer}self_attn.", block.attention)
            _copy_linear(tensors, f"{layer}self_attn.out_proj", block.attention.output)
            _copy_linear(tensors, f"{layer}self_attn_layer_norm", block.attention_norm)
            if side == "decoder":
                cross = block.cross_attention
                _copy_linear(tensors, f"{layer}encoder_attn.q_proj", cross.q)
                for name, part in zip(("k_proj", "v_proj"), _halves(cross.kv), strict=True):
                    tensors[f"{layer}encoder_attn.{name}.weight"], tensors[f"{layer}encoder_attn.{name}.bias"] = part
                _copy_linear(tensors, f"{layer}encoder_attn.out_proj", cross.output)
                _copy_linear(tensors, f"{layer}encoder_attn_layer_norm", block.cross_norm)
            _copy_linear(tensors, f"{layer}fc1", block.feed_forward.up)
            _copy_linear(tensors, f"{layer}fc2", block.feed_forward.down)
            _copy_linear(tensors, f"{layer}final_layer_norm", block.feed_forward_norm)
    names = dict(theirs.named_parameters(remove_duplicate=False)) | dict(theirs.named_buffers())
    wanted = {name for name in names if learned or "embed_positions" not in name}  # Marian's are computed
    assert wanted == tensors.keys()
    with torch.no_grad():
        for name in wanted:
            names[name].copy_(tensors[name])
    return theirs.eval()


def _copy_linear(tensors: dict[str, Any], name: str, module: Any) -> None:
    tensors[f"{name}.weight"], tensors[f"{name}.bias"] = module.weight, module.bias


def _copy_attention(tensors: dict[str, Any], at: str, attention: Any) -> None:
    for name, weight, bias in zip("qkv", attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3), strict=True):
        tensors[f"{at}{name}_proj.weight"], tensors[f"{at}{name}_proj.bias"] = weight, bias


def _halves(linear: Any) -> list[tuple[Any, Any]]:
    return list(zip(linear.weight.chunk(2), linear.bias.chunk(2), strict=True))
