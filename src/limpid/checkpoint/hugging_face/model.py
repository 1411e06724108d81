"""A Hugging Face folder -> a model of ours: all of its tensors, or a complaint that names every fault."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoint.hugging_face.families import layout_of, read_config
from limpid.checkpoint.hugging_face.folder import TensorFolder, read_json
from limpid.checkpoint.hugging_face.rows import Layout, to_theirs
from limpid.core.errors import LimpidError
from limpid.models.registry import assemble, build


def read_model(folder: Path, *, vocab_size: int | None = None, ignored_fields: tuple[str, ...] = ()) -> Any:
    """The model in ``folder``, in float32 on the CPU; one tensor at a time is in memory twice.

    vocab_size: keep this many rows of the embedding and the head: published tables are padded beyond their tokenizer.

    Raises:
        LimpidError: an unsupported config, or tensors missing, left over or of another shape (all named).
    """
    config = read_config(read_json(folder / "config.json"), str(folder / "config.json"), ignored_fields)
    layout = layout_of(config)
    tensors = TensorFolder(folder)
    names = _names(layout, config, tensors)
    tensors.check_floats(dict.fromkeys(names.values()))
    kept = config if vocab_size is None else config.model_copy(update={"vocab_size": vocab_size})
    if kept.vocab_size > config.vocab_size:
        raise LimpidError(
            f"{folder}: the tokenizer has {kept.vocab_size} tokens and the model {config.vocab_size}; "
            "they do not belong together."
        )
    model = build(kept)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for row in layout.rows:
            whole = row.join([tensors.tensor(names[theirs]) for theirs in row.theirs])
            target = parameters[row.ours]
            target.copy_(whole[: len(target)])
    return model


def their_shapes(config: Any, layout: Layout) -> dict[str, Tensor]:
    """Every tensor that Hugging Face keeps of a model with this config, on the meta device: shapes without memory."""
    return to_theirs(layout.rows, dict(assemble(config).named_parameters()))


def _names(layout: Layout, config: Any, tensors: TensorFolder) -> dict[str, str]:
    """The table's names -> the file's, after checking that nothing is missing, left over or misshapen."""
    wanted = {name: tuple(tensor.shape) for name, tensor in their_shapes(config, layout).items()}
    bare = not any(name.startswith(layout.prefix) for name in tensors.shapes)
    names = {name: name.removeprefix(layout.prefix) if bare else name for name in wanted}
    faults = [f"{name} is missing" for name in names.values() if name not in tensors.shapes]
    faults += [
        f"{names[name]} is {list(tensors.shapes[names[name]])}, not {list(shape)}"
        for name, shape in wanted.items()
        if tensors.shapes.get(names[name], shape) != shape
    ]
    left = sorted(tensors.shapes.keys() - set(names.values()))
    faults += [f"{name} is not the model's" for name in left if not _harmless(name, layout, names, tensors)]
    if faults:
        raise LimpidError(f"{tensors.folder} does not fit its config.json: {'; '.join(faults)}.")
    return names


def _harmless(name: str, layout: Layout, names: dict[str, str], tensors: TensorFolder) -> bool:
    """Whether a tensor left over says nothing new: a table that is computed, or the copy of a tied matrix."""
    if any(fnmatch(name, pattern) or fnmatch(f".{name}", pattern) for pattern in layout.ignored):
        return True
    original = names[layout.rows[0].theirs[0]]  # the embedding is the first row of every table
    return (
        name in layout.tied
        and tensors.shapes[name] == tensors.shapes.get(original)
        and torch.equal(tensors.tensor(name), tensors.tensor(original))
    )
