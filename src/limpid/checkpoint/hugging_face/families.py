"""Which table reads which config.json, and which writes which family: the one list of all conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from limpid.checkpoint.hugging_face import gpt, llama, transformer
from limpid.checkpoint.hugging_face.fields import Fields
from limpid.checkpoint.hugging_face.rows import Layout
from limpid.core.errors import LimpidError, did_you_mean
from limpid.models.registry import config_from_table


class Table(NamedTuple):
    """read: a config.json -> the keys of our config. layout: our config -> theirs, and the names of all tensors."""

    model_types: tuple[str, ...]
    read: Callable[[Fields], dict[str, Any]]
    layout: Callable[[Any], Layout]


TABLES: dict[str, Table] = {
    "llama": Table(llama.MODEL_TYPES, llama.read, llama.layout),
    "gpt": Table(gpt.MODEL_TYPES, gpt.read, gpt.layout),
    "transformer": Table(transformer.MODEL_TYPES, transformer.read, transformer.layout),
}
"""Our family -> how it is converted."""


def read_config(table: dict[str, Any], where: str, ignored: tuple[str, ...] = ()) -> Any:
    """Our config of a Hugging Face config.json.

    ignored: fields that the user knows to change nothing.

    Raises:
        LimpidError: a kind of model, or a field, that limpid does not build; it is named.
    """
    kinds = {kind: conversion for conversion in TABLES.values() for kind in conversion.model_types}
    kind = table.get("model_type")
    if not isinstance(kind, str) or kind not in kinds:
        raise LimpidError(
            f"{where}: limpid does not build models of model_type {kind!r}.{did_you_mean(str(kind), kinds)}"
        )
    if table.get("quantization_config"):
        raise LimpidError(f"{where}: the field 'quantization_config' says the weights are quantised; bring float ones.")
    fields = Fields(table, where)
    ours = kinds[kind].read(fields)
    fields.finish(ignored)
    return config_from_table(ours, where)


def layout_of(config: Any) -> Layout:
    """How Hugging Face would keep a model of ours.

    Raises:
        LimpidError: they have no such architecture.
    """
    if config.family not in TABLES:
        raise LimpidError(
            f"a {config.family} model has no counterpart in Hugging Face's library: it cannot be exported that way."
        )
    return TABLES[config.family].layout(config)
