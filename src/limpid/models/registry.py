"""The families, and the one dial that shapes a model when nothing more is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.recipe import Section, parse
from limpid.models.decoder import Decoder
from limpid.models.llama import LlamaConfig, llama

ModelConfig = LlamaConfig
FAMILIES: dict[str, tuple[type[LlamaConfig], Callable[[LlamaConfig], Decoder]]] = {"llama": (LlamaConfig, llama)}
"""Family name -> its config and the function that assembles a model from one."""


_DERIVED = ("n_layer", "d_model", "n_head", "n_kv_head", "d_ff")


class ModelSection(Section):
    """The shape of a model. ``depth`` alone is enough; every other key it derives can be set.

    Derived: n_layer = depth; d_model = 64 depth; head_dim = 64; n_head = d_model / head_dim; n_kv_head = half of n_head
    where that is whole; d_ff = 8/3 d_model, rounded up to a multiple of 32.
    """

    family: Literal["llama"] = "llama"
    depth: int = 6
    context: int = 256
    dropout: float = 0.0
    n_layer: int | None = None
    d_model: int | None = None
    head_dim: int = 64
    n_head: int | None = None
    n_kv_head: int | None = None
    d_ff: int | None = None
    qk_norm: bool = True
    tie_embeddings: bool = False
    rope_base: float = 10_000.0

    def resolved(self) -> ModelSection:
        """This section with every derived key written out."""
        config = self.config(vocab_size=1)
        return self.model_copy(update={name: getattr(config, name) for name in _DERIVED})

    def config(self, vocab_size: int) -> ModelConfig:
        """Every number of the model for a vocabulary of ``vocab_size`` tokens."""
        d_model = self.d_model or 64 * self.depth
        n_head = self.n_head or max(1, d_model // self.head_dim)
        n_kv_head = self.n_kv_head or (n_head // 2 if n_head % 2 == 0 else n_head)
        table = {
            "vocab_size": vocab_size,
            "context": self.context,
            "d_model": d_model,
            "n_layer": self.n_layer or self.depth,
            "n_head": n_head,
            "n_kv_head": n_kv_head,
            "head_dim": self.head_dim,
            "d_ff": self.d_ff or -(-8 * d_model // 3 // 32) * 32,
            "qk_norm": self.qk_norm,
            "tie_embeddings": self.tie_embeddings,
            "rope_base": self.rope_base,
            "dropout": self.dropout,
        }
        return parse(FAMILIES[self.family][0], table, "model")


def config_from_table(table: dict[str, Any], where: str) -> ModelConfig:
    """The config saved with a checkpoint; unknown families and keys are refused."""
    family = table.get("family", "")
    if family not in FAMILIES:
        raise LimpidError(f"{where}: no model family is called '{family}'.{did_you_mean(family, FAMILIES)}")
    return parse(FAMILIES[family][0], table, where)


def build(config: ModelConfig, seed: int | None = None) -> Decoder:
    """A model with freshly drawn float32 weights, the same for the same seed; None leaves them unset, to be loaded."""
    with torch.device("meta"):
        model = FAMILIES[config.family][1](config)
    model.to_empty(device="cpu")
    if config.tie_embeddings:
        model.head.weight = model.embedding.weight  # to_empty gave each its own
    if seed is not None:
        initialise(model, seed)
    return model


def with_dropout(model: Decoder, dropout: float) -> Decoder:
    """The same weights in a model of another dropout: what suits pretraining does not suit learning facts, and in RL
    the probabilities that are trained must be those that were sampled from."""
    other = build(model.config.model_copy(update={"dropout": dropout}))
    other.load_state_dict(model.state_dict())
    return other


def initialise(model: nn.Module, seed: int) -> None:
    """Draw every module's weights from one generator, in the order the modules are listed."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset(generator)


def matmul_parameters(model: nn.Module) -> int:
    """Parameters that multiply every token: all matrices but the embedding table, which is looked up."""
    return sum(p.numel() for name, p in model.named_parameters() if p.dim() == 2 and not name.startswith("embedding"))


def flops_per_token(model: Decoder, length: int) -> float:
    """Training FLOPs a token: 6 x matmul parameters + 12 x H x C x attended length x layers (a full square)."""
    config = model.config
    attention = 12 * config.n_head * config.head_dim * length * config.n_layer
    matrices = matmul_parameters(model)
    if config.tie_embeddings:
        matrices += config.vocab_size * config.d_model
    return 6.0 * matrices + attention
