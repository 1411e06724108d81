"""LoRA adapters in the layout of the library peft: adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from limpid.checkpoint.hugging_face.families import layout_of
from limpid.checkpoint.hugging_face.folder import TensorFolder, read_json
from limpid.core.errors import LimpidError
from limpid.models.lora import PROJECTIONS, LoraSection, add_lora
from limpid.models.model import Model
from limpid.nn.lora import LoraLinear

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
_REFUSED = {
    "use_dora": False, "bias": "none", "lora_bias": False, "modules_to_save": None, "layer_replication": None,
    "trainable_token_indices": None, "target_parameters": None, "use_qalora": False, "alora_invocation_tokens": None,
    "use_bdlora": None, "arrow_config": None, "kasa_config": None, "velora_config": None,
}  # fmt: skip
"""Settings that make an adapter another function than LoRA's, and the values with which they do not."""


class _Place(NamedTuple):
    """Where a matrix of theirs is found in ours: a linear layer, and those of its projections that it holds."""

    linear: str
    parts: tuple[str, ...]


def write_adapter(folder: Path, model: Model, base: str, dtype: torch.dtype) -> None:
    """Write the adapters of ``model``; ``base``: where peft finds the model they are for.

    Where three of our projections are one matrix of theirs (GPT-2's), their a's stand one below the other and their b's
    along a diagonal, in an adapter of three times the rank.

    Raises:
        LimpidError: the model has no adapters, or no counterpart in Hugging Face's library.
    """
    section = model.lora
    if section is None:
        raise LimpidError("this run has no LoRA adapters to export (lora.rank = 0): --to hf writes the whole model.")
    tensors: dict[str, Tensor] = {}
    targets: dict[str, int] = {}
    transposed = False
    for theirs, place, flipped in _places(model):
        adapted = model.get_submodule(place.linear)
        if not isinstance(adapted, LoraLinear) or not any(part in adapted.lora for part in place.parts):
            continue
        pairs = {part: adapted.pair(part) for part in place.parts if part in adapted.lora}
        b = torch.zeros(sum(adapted.sizes[part] for part in place.parts), section.rank * len(pairs))
        row = 0
        for part in place.parts:
            if part in pairs:
                column = section.rank * list(pairs).index(part)
                b[row : row + adapted.sizes[part], column : column + section.rank] = pairs[part].b.detach()
            row += adapted.sizes[part]
        tensors[f"{PREFIX}{theirs}.lora_A.weight"] = torch.cat([pair.a.detach() for pair in pairs.values()])
        tensors[f"{PREFIX}{theirs}.lora_B.weight"] = b
        targets[_within_block(theirs)] = len(pairs)
        transposed = transposed or flipped
    several = {name: count for name, count in targets.items() if count > 1}
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": section.rank,
        "lora_alpha": section.scale * section.rank,
        "lora_dropout": section.dropout,
        "target_modules": sorted(targets),
        "rank_pattern": {name: count * section.rank for name, count in several.items()},
        "alpha_pattern": {name: count * section.rank * section.scale for name, count in several.items()},
        "fan_in_fan_out": transposed,
        "bias": "none",
        "inference_mode": True,
    }
    save_file({name: t.to(dtype).contiguous() for name, t in tensors.items()}, folder / TENSORS, {"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")


def is_adapter_folder(folder: Path) -> bool:
    """Whether ``folder`` holds an adapter of peft's."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> str | None:
    """The model that an adapter says it is for."""
    base = read_json(folder / CONFIG).get("base_model_name_or_path")
    return base if isinstance(base, str) and base else None


def read_adapter(folder: Path, model: Model) -> None:
    """Put the adapters in ``folder`` on ``model``.

    Where ranks differ from matrix to matrix, all become of the largest, filled up with zeros; where scales differ, they
    become part of the b's; where one matrix of theirs is several of ours, each takes its rows of b and the whole of a.
    The function is the same.

    Raises:
        LimpidError: another kind of adapter than LoRA's, or tensors that do not fit this model; all are named.
    """
    config = read_json(folder / CONFIG)
    where = str(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise LimpidError(f"{where} is of peft_type {config.get('peft_type')!r}; limpid reads LORA.")
    for field, harmless in _REFUSED.items():
        if config.get(field, harmless) not in (harmless, None, [], {}):
            raise LimpidError(f"{where}: the field '{field}' = {config[field]!r} makes it no plain LoRA adapter.")
    found = _tensors(folder)
    places = {theirs: place for theirs, place, _ in _places(model)}
    faults = [f"{name} is not the model's" for name in found if name not in places]
    faults += [
        f"{name} lacks lora_{'AB'[part]}" for name, pair in found.items() for part in (0, 1) if pair[part] is None
    ]
    if faults or not found:
        raise LimpidError(f"{folder} does not fit the model: {'; '.join(sorted(faults)) or 'it holds no tensors'}.")
    pairs = {name: (a, b) for name, (a, b) in found.items() if a is not None and b is not None}
    scales = {name: _scale(config, name, len(a)) for name, (a, _) in pairs.items()}
    rank, first = max(len(a) for a, _ in pairs.values()), next(iter(scales.values()))
    scale = first if all(math.isclose(first, other) for other in scales.values()) else 1.0
    targets = {part for name in pairs for part in places[name].parts}
    section = LoraSection(
        rank=rank,
        alpha=scale * rank,
        dropout=config.get("lora_dropout") or 0.0,
        targets=tuple(name for name in PROJECTIONS if name in targets),
    )
    add_lora(model, section, seed=0)
    for name, (a, b) in pairs.items():
        adapted = model.get_submodule(places[name].linear)
        assert isinstance(adapted, LoraLinear)
        if a.shape[1:] != adapted.weight.shape[1:] or len(b) != sum(adapted.sizes[p] for p in places[name].parts):
            shapes = f"{list(a.shape)} and {list(b.shape)}"
            raise LimpidError(f"{folder} does not fit the model: lora_A and lora_B of {name} are {shapes}.")
        row = 0
        for part in places[name].parts:
            pair, rows = adapted.pair(part), adapted.sizes[part]
            with torch.no_grad():
                pair.a[: len(a)] = a
                pair.a[len(a) :] = 0
                pair.b[:, : len(a)] = b[row : row + rows] * (scales[name] / scale)
            row += rows


def _places(model: Model) -> list[tuple[str, _Place, bool]]:
    """(their module, where it is in ours, whether they keep it transposed) of every adaptable matrix."""
    found = []
    for row in layout_of(model.config).rows:
        linear = row.ours.removesuffix(".weight")
        leaf = linear.rpartition(".")[2]
        if not row.ours.endswith(".weight") or not linear.startswith("blocks."):
            continue
        parts = tuple(getattr(model.get_submodule(linear), "parts", {})) or (leaf,)
        if not set(parts) <= set(PROJECTIONS):
            continue
        names = [name.removesuffix(".weight") for name in row.theirs]
        each = [(part,) for part in parts] if len(names) == len(parts) else [parts]
        found += [(name, _Place(linear, held), row.transposed) for name, held in zip(names, each, strict=True)]
    return found


def _within_block(theirs: str) -> str:
    """A module's name behind the number of its layer: ``self_attn.q_proj``."""
    return re.split(r"\.\d+\.", theirs, maxsplit=1)[1]


def _tensors(folder: Path) -> dict[str, list[Tensor | None]]:
    """Their module -> its a and b, in float32."""
    tensors = TensorFolder(folder, TENSORS)
    tensors.check_floats(tensors.shapes)
    found: dict[str, list[Tensor | None]] = {}
    for name in tensors.shapes:
        match = re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])(\.default)?\.weight", name)
        if match is None:
            raise LimpidError(f"{folder / TENSORS} holds {name}, which is no LoRA matrix.")
        found.setdefault(match[1], [None, None])["AB".index(match[2])] = tensors.tensor(name).float()
    return found


def _scale(config: dict[str, Any], name: str, rank: int) -> float:
    """alpha / rank of one matrix, with peft's patterns and its rank-stabilised form (Kalajdzievski 2023)."""
    alpha = config.get("lora_alpha", 8)
    for pattern, other in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", name):
            alpha = other
            break
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
