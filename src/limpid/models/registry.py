"""The families of models, and how a recipe, a checkpoint or a preset becomes one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from pydantic import ConfigDict, model_validator
from torch import nn

from limpid.core.errors import LimpidError, did_you_mean
from limpid.core.recipe import Section, parse
from limpid.models import encoder, gpt, llama, speedrun, transformer
from limpid.models.bidirectional import Encoder
from limpid.models.decoder import Decoder
from limpid.models.encoder import EncoderConfig
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.gpt import GptConfig
from limpid.models.llama import LlamaConfig
from limpid.models.llama_presets import LLAMA_PRESETS
from limpid.models.model import Model
from limpid.models.speedrun import SpeedrunConfig
from limpid.models.task import TaskConfig, TaskModel
from limpid.models.transformer import TransformerConfig

DecoderConfig = LlamaConfig | GptConfig | SpeedrunConfig
M = TypeVar("M", bound=Model)


class Family(NamedTuple):
    """One architecture: everything the rest of limpid has to know of it.

    kind: the class of its models, whose ``noun`` says what they are: a decoder, an encoder, an encoder-decoder.
    config: every number that shapes one; saved beside its weights. assemble: config -> model, its weights not drawn.
    dial: (depth, the sizes that are given) -> the keys of ``config`` that follow from them, vocab_size excepted.
    presets: name -> keys of ``config``, vocab_size among them.
    """

    kind: type[Model]
    config: type[Section]
    assemble: Callable[[Any], Model]
    dial: Callable[[int, Mapping[str, int]], dict[str, Any]]
    presets: Mapping[str, Mapping[str, Any]]


FAMILIES: dict[str, Family] = {
    "llama": Family(Decoder, LlamaConfig, llama.llama, llama.dial, LLAMA_PRESETS),
    "gpt": Family(Decoder, GptConfig, gpt.gpt, gpt.dial, gpt.PRESETS),
    "speedrun": Family(Decoder, SpeedrunConfig, speedrun.speedrun, speedrun.dial, speedrun.PRESETS),
    "encoder": Family(Encoder, EncoderConfig, encoder.encoder, encoder.dial, encoder.PRESETS),
    "transformer": Family(
        EncoderDecoder, TransformerConfig, transformer.transformer, transformer.dial, transformer.PRESETS
    ),
}
COMPOSED: dict[str, tuple[type[Model], type[Section]]] = {"task": (TaskModel, TaskConfig)}
"""Models made of another family's model, which no recipe shapes: name -> kind, config."""
PRESETS: dict[str, str] = {preset: name for name, family in FAMILIES.items() for preset in family.presets}
"""Preset -> its family. No two families share a name."""


class ModelSection(Section):
    """The shape of a model: a family, and any key of that family's config.

    family: ``llama``, ``gpt``, ``speedrun``, ``encoder`` or ``transformer``; unset: the preset's, else llama. preset: a
    published shape, whose every key can be set otherwise. depth: where there is no preset, the one dial from which the
    family derives what is not set; 6 unless given. The vocabulary's size is the tokenizer's.
    """

    model_config = ConfigDict(extra="allow")  # the family's keys; what it does not have is refused below

    family: str | None = None
    preset: str | None = None
    depth: int | None = None

    @model_validator(mode="after")
    def _known(self) -> ModelSection:
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"no preset is called '{self.preset}'.{did_you_mean(self.preset, PRESETS)}")
        if self.family is not None and self.family not in FAMILIES:
            raise ValueError(f"no model family is called '{self.family}'.{did_you_mean(self.family, FAMILIES)}")
        if self.preset is not None and PRESETS[self.preset] != self.family_name:
            raise ValueError(f"preset '{self.preset}' is of the {PRESETS[self.preset]} family, not {self.family_name}")
        if self.preset is not None and self.depth is not None:
            raise ValueError("depth and preset both set the shape; give one of them")
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"depth is {self.depth} and must be at least 1")
        known = FAMILIES[self.family_name].config.model_fields.keys() - {"family", "vocab_size"}
        for key in self.model_extra or {}:
            if key == "vocab_size":
                raise ValueError("vocab_size is the tokenizer's: set tokenizer.vocab_size")
            if key not in known:
                known |= {"family", "preset", "depth"}
                raise ValueError(f"the {self.family_name} family has no key '{key}'.{did_you_mean(key, known)}")
        self._config(vocab_size=1)
        return self

    @property
    def family_name(self) -> str:
        """The family that is meant."""
        return self.family or (PRESETS[self.preset] if self.preset else "llama")

    def resolved(self) -> ModelSection:
        """This section with every derived key written out."""
        derived = self._config(vocab_size=1).model_dump(exclude={"vocab_size"})
        return self.model_copy(update=derived)

    def config(self, vocab_size: int, kind: type[Model] = Decoder) -> Any:
        """Every number of the model for a vocabulary of ``vocab_size`` tokens: the config of its family.

        Raises:
            LimpidError: the family's models are not of the wanted kind.
        """
        require_kind(self.family_name, kind, "recipe")
        return self._config(vocab_size)

    def _config(self, vocab_size: int) -> Section:
        family = FAMILIES[self.family_name]
        given = (self.model_extra or {}) | {"vocab_size": vocab_size}
        if self.preset:
            return family.config.model_validate(dict(family.presets[self.preset]) | given)
        sizes = {key: value for key, value in given.items() if type(value) is int and value > 0}
        return family.config.model_validate(family.dial(self.depth or 6, sizes) | given)


def require_kind(family: str, kind: type[Model], where: str) -> None:
    """Raise LimpidError unless models of ``family`` are of the wanted kind."""
    there = FAMILIES[family].kind if family in FAMILIES else COMPOSED[family][0]
    if not issubclass(there, kind):
        raise LimpidError(f"{where}: a {family} model is {there.noun}, and {kind.noun} is needed here.")


def preset_config(name: str) -> Any:
    """The config of a preset, with its published vocabulary."""
    family = FAMILIES[PRESETS[name]]
    return family.config.model_validate(family.presets[name])


def config_from_table(table: dict[str, Any], where: str) -> Any:
    """The config saved with a checkpoint; unknown families and keys are refused."""
    family = table.get("family", "")
    if family in COMPOSED:
        return parse(COMPOSED[family][1], table, where)
    if family not in FAMILIES:
        raise LimpidError(f"{where}: no model family is called '{family}'.{did_you_mean(family, FAMILIES)}")
    return parse(FAMILIES[family].config, table, where)


def assemble(config: Any) -> Any:
    """The model of a config on the meta device: shapes without memory."""
    with torch.device("meta"):
        if isinstance(config, TaskConfig):
            return TaskModel(config, FAMILIES[config.backbone.family].assemble(config.backbone))
        return FAMILIES[config.family].assemble(config)


def build(config: Any, seed: int | None = None) -> Any:
    """A model with freshly drawn float32 weights, the same for the same seed; None leaves them unset, to be loaded."""
    model = assemble(config)
    made: dict[nn.Parameter, nn.Parameter] = {}  # a tied matrix is one; Module.to_empty would give each name its own
    for module in model.modules():
        for name, shape in module.named_parameters(recurse=False, remove_duplicate=False):
            made.setdefault(shape, nn.Parameter(torch.empty(shape.shape, dtype=shape.dtype)))
            setattr(module, name, made[shape])
    if seed is not None:
        initialise(model, seed)
    return model


def with_dropout(model: M, dropout: float) -> M:
    """The same weights in a model of another dropout: what suits pretraining does not suit learning facts, and in RL
    the probabilities that are trained must be those that were sampled from."""
    other: M = build(model.config.model_copy(update={"dropout": dropout}))
    other.load_state_dict(model.state_dict())
    return other


def initialise(model: nn.Module, seed: int) -> None:
    """Draw every module's weights from one generator, in the order the modules are listed."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset(generator)
