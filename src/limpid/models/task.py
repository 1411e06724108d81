"""A task model: a backbone that reads, and a head that answers (Radford et al. 2018, section 3.2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from limpid.core.recipe import Section
from limpid.models.gpt import GptConfig
from limpid.models.llama import LlamaConfig
from limpid.models.model import Model
from limpid.models.speedrun import SpeedrunConfig
from limpid.nn.dropout import Dropout
from limpid.nn.shared_prefixes import SharedPrefixes
from limpid.nn.task_heads import ClassificationHead, Likelihood, Pooling, ScalarHead, SimilarityHead, pool

Task = Literal["single", "pair", "similarity", "choice", "reward", "value"]

HEADS: dict[Task, type[ClassificationHead | SimilarityHead | ScalarHead]] = {
    "single": ClassificationHead,
    "pair": ClassificationHead,
    "similarity": SimilarityHead,
    "choice": ScalarHead,
    "reward": ScalarHead,
    "value": ScalarHead,
}
"""Task -> its head. A choice is scored, and the softmax over the choices is the loss's; a reward is the number of a
text's last token, a value that of every token."""


class TaskConfig(Section):
    """A backbone's config and what its head answers.

    outputs: classes, or 1 for a number. labels: the classes' names, in the order of the outputs. mean, deviation: a
    score is ``mean + deviation * output``. pooling: which state stands for a text; not ``first`` for causal backbones.
    dropout: of that state, while training. likelihood: whether a reward also weighs how probable the backbone, which
    is then a language model, finds the answer.
    """

    family: Literal["task"] = "task"
    backbone: Annotated[LlamaConfig | GptConfig | SpeedrunConfig, Field(discriminator="family")]
    task: Task
    outputs: Annotated[int, Field(ge=1)] = 1
    labels: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0
    pooling: Pooling = "last"
    dropout: float = 0.0
    likelihood: bool = False

    @property
    def vocab_size(self) -> int:
        return self.backbone.vocab_size

    @property
    def context(self) -> int:
        return self.backbone.context


class TaskOutput(NamedTuple):
    """answers: (B, C) scores of classes or a number (C = 1); (B, S) scores of choices; (B, S) rewards; (B, S, T)
    values. hidden: (B, S, T, D), for a language-model loss beside the task's."""

    answers: Tensor
    hidden: Tensor


class TaskModel(Model):
    """``backbone`` gives hidden states (N, T, D) for ids (N, T); ``head`` turns one state a text into the answer.

    A backbone is a decoder (causal: padding after a text changes nothing before it, and the last token is read), or
    with another pooling any model that takes ``segments``, so that texts do not see their padding.
    """

    noun = "a task model (a backbone with a head)"
    config: TaskConfig

    def __init__(self, config: TaskConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.dropout = Dropout(config.dropout)
        self.head = HEADS[config.task](config.backbone.d_model, config.outputs)
        if config.likelihood:
            self.likelihood = Likelihood()

    @property
    def blocks(self) -> nn.ModuleList:
        """The backbone's."""
        blocks: nn.ModuleList = self.backbone.blocks  # type: ignore[assignment]
        return blocks

    def forward(
        self,
        ids: Tensor,
        lengths: Tensor,
        *,
        starts: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        penalties: list[Tensor] | None = None,
        shared: SharedPrefixes | None = None,
    ) -> TaskOutput:
        """Answers to a batch of examples, each of S sequences.

        Args:
            ids: (B, S, T) integers. S is 1 for single texts and pairs, 2 for similarity (both orders), the largest
                number of choices for choices.
            lengths: (B, S) tokens of each sequence; what follows is padding. 0: a choice that an example does not
                have, whose score is -inf.
            starts: (B, S) where the answer of each sequence begins, for rewards that weigh its likelihood; None: at 0.
            dtype: compute dtype of the backbone; answers are float32.
            penalties: as a `Decoder` takes them; a mean over the tokens that are no padding.
            shared: as a `Decoder` takes it, for values: B and S are then 1.
        """
        rows = lengths.flatten().clamp(min=1)
        places = torch.arange(ids.shape[2], device=ids.device)
        segments = None if self.config.pooling == "last" else (places < rows[:, None]).long()
        more: dict[str, Any] = {} if shared is None else {"shared": shared}
        if penalties is not None:
            more |= {"penalties": penalties, "counted": places < lengths.flatten()[:, None]}
        hidden = self.backbone(ids.flatten(0, 1), dtype=dtype, segments=segments, **more)  # (B * S, T, D)
        shape = ids.shape[:2]
        if self.config.task == "value":
            states = hidden.unflatten(0, shape)
        else:
            states = pool(hidden, rows, self.config.pooling).unflatten(0, shape)  # (B, S, D)
        answers = self.head(self.dropout(states)).float()
        if self.config.likelihood:
            begin = torch.zeros_like(rows) if starts is None else starts.flatten()
            lm_head: nn.Module = self.backbone.head  # type: ignore[assignment]
            answers = answers + self.likelihood(hidden, lm_head, ids.flatten(0, 1), begin, rows).unflatten(0, shape)
        if self.config.task == "choice":
            answers = answers.masked_fill(lengths == 0, -torch.inf)
        return TaskOutput(answers, hidden.unflatten(0, shape))
