"""The files of a Hugging Face model: tensors in one safetensors file or in several with an index."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from limpid.core.errors import LimpidError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_DTYPES = {"F64", "F32", "F16", "BF16"}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises LimpidError where there is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LimpidError(f"{path} does not exist; is {path.parent} a model in Hugging Face's form?") from None
    except (OSError, ValueError) as error:
        raise LimpidError(f"{path} cannot be read: {error}") from None
    if not isinstance(table, dict):
        raise LimpidError(f"{path} holds no JSON object.")
    return table


class TensorFolder:
    """The tensors of a folder, read one at a time; their shapes are known without reading them.

    single: the file they are in where there is no index.

    Raises:
        LimpidError: only pickles there, no tensors, a part missing or damaged, or tensors that are no floats.
    """

    def __init__(self, folder: Path, single: str = SINGLE) -> None:
        self.folder, self.single = folder, single
        self._file_of: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        not_floats = []
        for file, listed in self._files().items():
            try:
                with safe_open(file, framework="pt") as opened:
                    for name in opened.keys():  # noqa: SIM118 - not a dict
                        part = opened.get_slice(name)
                        self._file_of[name], self.shapes[name] = file, tuple(part.get_shape())
                        if part.get_dtype() not in _DTYPES:
                            not_floats.append(f"{name} is {part.get_dtype()}")
            except FileNotFoundError:
                raise LimpidError(f"{file} does not exist, and {INDEX} names it; fetch the model again.") from None
            except (SafetensorError, OSError) as error:
                raise LimpidError(f"{file} is damaged: {error}") from None
            absent = sorted(name for name in listed if self._file_of.get(name) != file)
            if absent:
                raise LimpidError(f"{file} lacks tensors that {INDEX} places in it: {', '.join(absent)}.")
        self._not_floats = not_floats

    def _files(self) -> dict[Path, list[str]]:
        """Every file, and the tensors that the index says are in it."""
        if self.single == SINGLE and (self.folder / INDEX).is_file():
            weight_map = read_json(self.folder / INDEX).get("weight_map")
            if not isinstance(weight_map, dict) or not weight_map:
                raise LimpidError(f"{self.folder / INDEX} has no weight_map.")
            files: dict[Path, list[str]] = {}
            for tensor, name in weight_map.items():
                if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                    raise LimpidError(f"{self.folder / INDEX} names {name!r}, which is no safetensors file beside it.")
                files.setdefault(self.folder / name, []).append(tensor)
            return files
        if (self.folder / self.single).is_file():
            return {self.folder / self.single: []}
        refuse_pickles(self.folder)
        raise LimpidError(
            f"{self.folder} holds neither {self.single} nor {INDEX}; is it a model in Hugging Face's form?"
        )

    def check_floats(self, names: Mapping[str, Any]) -> None:
        """Raise LimpidError if one of the named tensors is of another type than a float of 16 bits or more."""
        bad = sorted(fault for fault in self._not_floats if fault.partition(" ")[0] in names)
        if bad:
            raise LimpidError(f"{self.folder} holds tensors that are no plain floats: {', '.join(bad)}.")

    def tensor(self, name: str) -> Tensor:
        """One tensor, in its own dtype."""
        try:
            with safe_open(self._file_of[name], framework="pt") as opened:
                return opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise LimpidError(f"{self._file_of[name]} is damaged: {error}") from None


def refuse_pickles(source: Path) -> None:
    """Raise LimpidError where ``source`` is a pickle, or a folder whose only weights are pickles."""
    found = [source] if source.is_file() else sorted(p for p in source.iterdir() if p.suffix in _PICKLES)
    found = [path for path in found if path.suffix in _PICKLES]
    if found:
        raise LimpidError(
            f"{found[0]} is a pickle, which can run any program when it is opened; limpid opens none. Take the model's "
            "safetensors files, or convert it where nothing can be harmed: AutoModelForCausalLM.from_pretrained(FOLDER)"
            ".save_pretrained(NEW_FOLDER) of transformers writes them."
        )


class Plan(NamedTuple):
    """Which file each tensor goes into, and how many bytes all are."""

    files: list[tuple[str, list[str]]]
    total_bytes: int

    @property
    def contents(self) -> dict[str, Any]:
        """What stands in `INDEX`."""
        weight_map = {name: file for file, names in self.files for name in names}
        return {"metadata": {"total_size": self.total_bytes}, "weight_map": dict(sorted(weight_map.items()))}


def plan(tensors: Mapping[str, Tensor], dtype: torch.dtype, shard_bytes: int) -> Plan:
    """Share tensors, in their order, among files of at most ``shard_bytes`` (a larger tensor has one of its own).

    Only shapes are looked at: tensors on the meta device will do, and so a model larger than memory.
    """
    sizes = {name: math.prod(tensor.shape) * dtype.itemsize for name, tensor in tensors.items()}
    parts: list[list[str]] = [[]]
    room = shard_bytes
    for name, size in sizes.items():
        if size > room and parts[-1]:
            parts.append([])
            room = shard_bytes
        parts[-1].append(name)
        room -= size
    count = len(parts)
    names = [SINGLE] if count == 1 else [f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]
    return Plan(list(zip(names, parts, strict=True)), sum(sizes.values()))


def write_tensors(folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, shard_bytes: int) -> None:
    """Write the files of `plan`, and the index where there are several; one file's tensors are copied at a time."""
    planned = plan(tensors, dtype, shard_bytes)
    for file, names in planned.files:
        parts = {name: tensors[name].detach().to(dtype, copy=True).contiguous() for name in names}
        save_file(parts, folder / file, metadata={"format": "pt"})
    if len(planned.files) > 1:
        (folder / INDEX).write_text(json.dumps(planned.contents, indent=1), encoding="utf-8")
