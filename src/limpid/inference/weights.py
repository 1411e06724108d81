"""A model made ready to answer: matrices in the compute dtype, no gradients, no dropout."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from limpid.models.lora import plain_parameters
from limpid.models.model import Model
from limpid.models.registry import build

M = TypeVar("M", bound=Model)


def inference_copy(model: M, dtype: torch.dtype) -> M:
    """A frozen copy of ``model`` with its matrices in ``dtype`` (norm weights stay float32) and any adapters merged in.

    A sharded model is gathered whole, so every process must call this together.
    """
    copy: M = build(model.config)
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() >= 2:
            parameter.data = parameter.data.to(dtype)
    copy.to(next(model.parameters()).device).eval()
    refresh(copy, model)
    return copy


def let_go(model: nn.Module) -> None:
    """Free the numbers of a model that nobody computes with any more; its shape stays."""
    for parameter in model.parameters():
        parameter.data = parameter.data.new_empty(0)


@torch.no_grad()
def refresh(copy: nn.Module, model: nn.Module) -> None:
    """Copy the present weights of ``model`` into an inference copy made earlier."""
    weights = plain_parameters(model)
    for name, target in copy.named_parameters():
        target.copy_(weights[name])
