"""A reward model at work: one number for an answer to a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.data.task_batches import TaskExamples
from limpid.inference.classifier import task_answers
from limpid.models.task import TaskModel
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory
from limpid.text.chat import Answered, Message, answered
from limpid.text.tokenizer import Tokenizer


class RewardScorer:
    """A task model of task "reward", with its tokenizer. Scores are ``mean + deviation * output`` of its config.

    Only differences between answers to one prompt mean anything (Bradley & Terry 1952): the difference of two scores
    is the log-odds that the first answer is the better one.
    """

    def __init__(self, model: TaskModel, tokenizer: Tokenizer, dtype: torch.dtype) -> None:
        if model.config.task != "reward":
            raise LimpidError(f"a {model.config.task} model is no reward model; limpid reward trains one.")
        self.model, self.tokenizer, self.dtype = model.eval(), tokenizer, dtype

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto", dtype: str = "auto") -> RewardScorer:
        """The reward model of a run or a checkpoint.

        Raises:
            LimpidError: nothing there, damaged, or no reward model.
        """
        keep_memory()
        where = torch.device(pick_device(device))
        checkpoint = store.read(Path(path), TaskModel)
        return cls(checkpoint.model.to(where), checkpoint.tokenizer, compute_dtype(dtype, where))

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """The reward of each (prompt, answer), in order. The end of the turn is read after every answer.

        Raises:
            LimpidError: a prompt and answer that are longer than the model's context.
        """
        return self.score_ids([answered(self.tokenizer, prompt, answer) for prompt, answer in pairs])

    def score_ids(self, conversations: Sequence[Answered]) -> list[float]:
        """The reward of conversations that are token ids already, each up to the end of the answer's turn.

        Raises:
            LimpidError: one longer than the model's context.
        """
        if not conversations:
            return []
        config = self.model.config
        for number, (ids, _) in enumerate(conversations, start=1):
            if len(ids) > config.context:
                raise LimpidError(
                    f"conversation {number} has {len(ids)} tokens and the reward model's context is {config.context}."
                )
        sequences, starts = [[ids] for ids, _ in conversations], [[start] for _, start in conversations]
        examples = TaskExamples(sequences, [0.0] * len(sequences), starts)
        outputs = task_answers(self.model, examples, dtype=self.dtype)[:, 0]
        return [float(value) for value in config.mean + config.deviation * outputs]
