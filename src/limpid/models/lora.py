"""LoRA put on a model and taken off again: which projections are adapted, and what stays frozen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.core.recipe import Section
from limpid.models.model import Model
from limpid.models.registry import build
from limpid.nn.linear import Linear
from limpid.nn.lora import LoraLinear
from limpid.nn.sharded import whole

Projection = Literal["query", "key", "value", "output", "gate", "up", "down"]
PROJECTIONS: tuple[Projection, ...] = ("query", "key", "value", "output", "gate", "up", "down")
"""The projections of a block: of attention the first four, of the feed-forward layer the others."""


class LoraSection(Section):
    """rank: of the adapters; 0: none, all weights are trained. alpha: the adapters' output is scaled by alpha / rank;
    unset: twice the rank. dropout: of what the adapters read. targets: the projections they are put on; unset: all
    of a block. lr: of AdamW on the adapters, before the stage's own factor. Stages that begin from nothing
    (pretrain, seq2seq) take none.
    """

    rank: Annotated[int, Field(ge=0)] = 0
    alpha: Annotated[float, Field(gt=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[Projection, ...] = ()
    lr: Annotated[float, Field(gt=0)] = 2e-3

    @property
    def scale(self) -> float:
        """What the adapters' output is multiplied by."""
        return 2.0 if self.alpha is None else self.alpha / self.rank


def add_lora(model: Model, section: LoraSection, seed: int) -> None:
    """Freeze a model, all but the head of a task model, and put fresh adapters on its blocks, drawn from ``seed``.

    Raises:
        LimpidError: the model has no such projection.
    """
    backbone: Any = getattr(model, "backbone", model)
    for parameter in backbone.parameters():
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    there: set[str] = set()
    for path, linear in [*backbone.blocks.named_modules()]:
        if type(linear) is not Linear:
            continue
        owner, _, leaf = path.rpartition(".")
        sizes = linear.parts or {leaf: linear.weight.shape[0]}
        there |= sizes.keys() & set(PROJECTIONS)
        chosen: tuple[str, ...] = section.targets or PROJECTIONS
        ranks = {name: section.rank for name in sizes if name in chosen}
        if ranks:
            adapted = LoraLinear(linear, sizes, ranks, scale=section.scale, dropout=section.dropout)
            for name in ranks:
                adapted.pair(name).reset_parameters(generator)
            setattr(backbone.blocks.get_submodule(owner), leaf, adapted)
    if missing := [name for name in section.targets if name not in there]:
        known = ", ".join(name for name in PROJECTIONS if name in there) or "none"
        raise LimpidError(
            f"lora.targets: the model has no projection '{missing[0]}' in its blocks. There are: {known}."
        )
    model.lora = section


def merge_lora(model: Model) -> None:
    """Make a model with adapters the plain one that computes the same; every parameter is trained again."""
    for path, adapted in [*model.named_modules()]:
        if isinstance(adapted, LoraLinear):
            owner, _, leaf = path.rpartition(".")
            bias, rows = adapted.bias, adapted.weight.shape
            plain = Linear(rows[1], rows[0], bias=bias is not None, std=adapted.std, parts=adapted.parts)
            plain.weight, plain.bias = nn.Parameter(adapted.merged()), bias
            setattr(model.get_submodule(owner), leaf, plain)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.lora = None


def base_of(model: Model) -> Model:
    """The model that the adapters of ``model`` are for, its frozen weights unchanged."""
    base: Model = build(model.config)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            parameter.copy_(weights[name])
    return base


def plain_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter that the model has without adapters, by name, whole and with the adapters merged in."""
    found = {name: whole(parameter) for name, parameter in model.named_parameters() if not is_adapter(name)}
    adapted = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    return found | {f"{name}.weight": module.merged() for name, module in adapted.items()}


def is_adapter(name: str) -> bool:
    """Whether the parameter of that name is a part of an adapter."""
    return ".lora." in name


def trained_share(model: nn.Module) -> str:
    """How many of the parameters are trained, in words; "" where all are."""
    parameters = list(model.parameters())
    trained, whole = (sum(p.numel() for p in parameters if p.requires_grad or every) for every in (False, True))
    return "" if trained == whole else f"{trained:,} of {whole:,} parameters are trained"
