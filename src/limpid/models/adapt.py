"""A pretrained model made ready for a task: more tokens, another dropout, a head; what it knows stays as it was."""

from __future__ import annotations

from typing import TypeVar

import torch

from limpid.models.model import Model
from limpid.models.registry import build
from limpid.models.task import TaskConfig, TaskModel

M = TypeVar("M", bound=Model)


def adapted(model: M, vocab_size: int, dropout: float, seed: int) -> M:
    """The same weights in a model of ``vocab_size`` tokens and another dropout.

    Every table of the vocabulary keeps its rows; the new ones, at its end, are drawn like them: normal, with the mean
    and the deviation that the old rows have in each dimension. So the scores of the old tokens stay what they were, and
    a new token is none the model would find strange.
    """
    other: M = build(model.config.model_copy(update={"vocab_size": vocab_size, "dropout": dropout}))
    draw = torch.Generator().manual_seed(seed)
    old = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            known = old[name]
            parameter[: len(known)] = known
            if missing := len(parameter) - len(known):
                noise = torch.randn(missing, *known.shape[1:], generator=draw)
                parameter[len(known) :] = known.mean(0) + known.std(0) * noise
    return other


def with_head(backbone: Model, config: TaskConfig, seed: int) -> TaskModel:
    """``backbone``, whose config is that in ``config``, under a freshly drawn head."""
    model: TaskModel = build(config)
    model.backbone.load_state_dict(backbone.state_dict())
    draw = torch.Generator().manual_seed(seed)
    model.head.reset_parameters(draw)
    if config.likelihood:
        model.likelihood.reset_parameters(draw)
    return model
