"""The recipe of a run: the sections of every room, in one frozen table."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from limpid.checkpoint.store import CheckpointSection
from limpid.core.recipe import Section
from limpid.models.lora import LoraSection
from limpid.models.registry import ModelSection
from limpid.nn.task_heads import Pooling
from limpid.parallel.hardware import compute_dtype
from limpid.stages.preference_recipe import DpoSection, RewardSection
from limpid.stages.rl_recipe import GrpoSection, PpoSection
from limpid.text.task_inputs import Form
from limpid.text.tokenizer import TokenizerSection
from limpid.training.optim import OptimSection
from limpid.training.schedule import ScheduleSection

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]


class DataSection(Section):
    """path: a catalogue name (``python-docs`` needs no download), a file, a folder or a glob. text_key: the field of a
    row that is the text; unset: the catalogue's, else a field called ``text`` or the only one of texts."""

    path: str = "python-docs"
    text_key: str | None = None


class TrainSection(Section):
    """steps: optimizer steps; unset: enough for 20 tokens a parameter that multiplies (Hoffmann et al. 2022).

    tokens_per_step: positions of the global batch. micro_tokens: positions computed at once by one process. seed: of
    fresh weights, the order of data and dropout. device: ``auto`` (an NVIDIA GPU if there is one), ``cpu``, ``cuda`` or
    ``mps``. sample_prompt: what the model continues whenever it is evaluated.
    dtype: what is computed in: ``auto`` (bfloat16 where the hardware is fast at it), ``float32`` or ``bfloat16``.
    compile: whether torch.compile is used; ``auto``: for runs of over 200 steps, where a C++ compiler (or a GPU) is.
    """

    steps: Count | None = None
    tokens_per_step: Count = 4096
    micro_tokens: Count = 4096
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    compile: Literal["auto"] | bool = "auto"
    sample_prompt: str = ""


class EvalSection(Section):
    """every: steps between looks at the validation text (0: only at the end). tokens: how many of it are read each time
    (0: all).

    overlap: share of the context that windows of the final test repeat. questions: of python-docs, asked of each kind
    after sft and grpo.
    """

    every: Whole = 200
    tokens: Whole = 16_384
    questions: Count = 660
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5


class SftSection(Section):
    """path: conversations: ``python-docs``, ``addition``, a file, folder or glob, a folder of the data folders, or
    hub:OWNER/NAME. conversations: how many to draw from the first two.

    too_long: conversations longer than the context are left out (``drop``), or lose their end (``truncate``). steps:
    optimizer steps. tokens_per_step: positions of the global batch, in whole rows of the context. lr_factor: of the
    rates of ``optim``. warmup_steps: steps in which the rates rise linearly. decay: share of all steps, the last ones,
    in which the rates fall linearly to 0. weight_decay: instead of that of ``optim``: decay holds back what is to be
    learnt by heart. dropout: instead of the model's. text_share: part of each batch that is pretraining text, against
    forgetting.
    """

    path: str = "python-docs"
    conversations: Count = 40_000
    too_long: Literal["drop", "truncate"] = "drop"
    steps: Count = 400
    tokens_per_step: Count = 4096
    lr_factor: Annotated[float, Field(gt=0)] = 0.5
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    text_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    warmup_steps: Whole = 20
    decay: Annotated[float, Field(ge=0, le=1)] = 0.7


class DistillSection(SftSection):
    """Every key of ``sft``, with what a teacher says instead of what the data say.

    teacher: the teacher's run. method: what is learnt of it: ``logits``: its distribution of every token, which needs
    its vocabulary; ``answers``: what it says to the prompts of the conversations (Kim & Rush 2016), whatever its
    vocabulary. temperature: both distributions are softened by it. share: weight of the divergence in the loss; the
    rest is the data's cross-entropy (Hinton et al. 2015). text_share: part of each batch that is pretraining text; 1
    for a teacher of text that has seen no conversation. prompts: how many the teacher answers. answer_temperature: its
    answers are drawn at it; 0: the most probable token. max_tokens: of such an answer; one that has not ended by then
    is left out.
    """

    teacher: str = ""
    method: Literal["logits", "answers"] = "logits"
    temperature: Annotated[float, Field(gt=0)] = 2.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.9
    text_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    prompts: Count = 2000
    answer_temperature: Annotated[float, Field(ge=0)] = 0.0
    max_tokens: Count = 128


class ClassifySection(Section):
    """path: a catalogue name, a table, or a folder of them whose names say train, dev and test.

    form: how texts are laid out: ``single``, ``pair``, ``similarity`` (both orders), ``choice``. target: ``class``, or
    ``score`` for numbers. text: the column of the text. second: that of a pair's second text. choices: that of a list
    of texts to choose from, or a list of columns. label: that of the class, score or right choice.
    epochs: passes over the training examples. examples_per_step: of the global batch.
    lm_weight: of the language-model loss beside the task's (0.5 in Radford et al. 2018). dropout: instead of the
    model's. head_dropout: before the head. word_dropout: each token of a training text is left out at this rate.
    lr_factor: of the rates of ``optim``. warmup: share of all steps in which the rates rise; then they fall linearly
    to 0.
    pooling: which state is read: of the ``last`` token, the extract token of decoders; the ``mean`` over all tokens; of
    the ``first``, only where it sees all others.
    baseline: whether a linear model on n-grams is fitted beside it.
    """

    path: str = "sst2"
    form: Form = "single"
    target: Literal["class", "score"] = "class"
    text: str = "text"
    second: str | None = None
    choices: str | tuple[str, ...] | None = None
    label: str = "label"
    epochs: Annotated[float, Field(gt=0)] = 3.0
    examples_per_step: Count = 32
    lr_factor: Annotated[float, Field(gt=0)] = 0.25
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    lm_weight: Annotated[float, Field(ge=0)] = 0.5
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    word_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pooling: Pooling = "last"
    baseline: bool = True


class Seq2SeqSection(Section):
    """path: sentence pairs: a catalogue name, a two-column file, or a list of two line-aligned files, source first.

    validation, test: sentence pairs likewise; unset: the catalogue's own, else a twentieth each of ``path``.
    source_key, target_key: the columns' names; unset: a table without a header. label_smoothing: share of a target's
    probability that is spread evenly over the vocabulary while training (Szegedy et al. 2016, section 7). average: the
    last so many checkpoints are averaged at the end, and kept if validation BLEU is higher so (Vaswani et al. 2017,
    section 6.1). beam: translations of the test are searched with so many at once; 1: greedily. length_penalty: their
    log-probability is divided by their length to this power.
    """

    path: str | tuple[str, str] = "multi30k-en-de"
    validation: str | tuple[str, str] | None = None
    test: str | tuple[str, str] | None = None
    source_key: str = ""
    target_key: str = ""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    average: Count = 5
    beam: Count = 5
    length_penalty: Annotated[float, Field(ge=0)] = 1.0


class Recipe(Section):
    """One run, or one line of stages: ``data`` to ``eval`` shape pretraining, the later sections their own stage."""

    data: DataSection = DataSection()
    tokenizer: TokenizerSection = TokenizerSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    optim: OptimSection = OptimSection()
    lora: LoraSection = LoraSection()
    schedule: ScheduleSection = ScheduleSection()
    checkpoint: CheckpointSection = CheckpointSection()
    eval: EvalSection = EvalSection()
    sft: SftSection = SftSection()
    distill: DistillSection = DistillSection()
    reward: RewardSection = RewardSection()
    dpo: DpoSection = DpoSection()
    grpo: GrpoSection = GrpoSection()
    ppo: PpoSection = PpoSection()
    classify: ClassifySection = ClassifySection()
    seq2seq: Seq2SeqSection = Seq2SeqSection()

    def resolved(self, device: torch.device) -> Recipe:
        """What is saved with a run: every key that was left to be derived, written out."""
        dtype = str(compute_dtype(self.train.dtype, device)).removeprefix("torch.")
        return self.model_copy(
            update={
                "model": self.model.resolved(),
                "train": self.train.model_copy(update={"dtype": dtype}),
                "optim": self.optim.model_copy(update={"lr": self.optim.matrix_lr}),
                "grpo": self.grpo.resolved(),
            }
        )
