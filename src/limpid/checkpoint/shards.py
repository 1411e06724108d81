"""Tensors on disk in safetensors files, whole or one file a process.

Each process writes the rows it holds, and the file's header says which rows those are, so that any number of processes
can put them together again. (torch.distributed.checkpoint does the same but keeps its index as a pickle, and limpid
unpickles nothing.)
"""

from __future__ import annotations

import errno
import json
import re
from collections import defaultdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.nn.sharded import is_sharded


def shard_name(stem: str, rank: int, size: int) -> str:
    """``model.safetensors`` for one process, ``model-00001-of-00002.safetensors`` for several."""
    return f"{stem}.safetensors" if size == 1 else f"{stem}-{rank + 1:05d}-of-{size:05d}.safetensors"


def write_shard(folder: Path, stem: str, tensors: dict[str, Tensor], rank: int, size: int) -> None:
    """Write this process's part of every tensor. A tensor that is not sharded is written by rank 0 alone."""
    parts: dict[str, Tensor] = {}
    first_rows: dict[str, int] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        if is_sharded(tensor):
            from torch.distributed.tensor import Shard
            from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

            if tensor.placements != (Shard(0),):
                raise ValueError(f"{name} is placed {tensor.placements}; only sharding by rows is written")
            _, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
            local = tensor.to_local()
            if local.numel():
                parts[name], first_rows[name] = local.contiguous().cpu(), offset[0]
        elif rank == 0:
            parts[name], first_rows[name] = tensor.contiguous().cpu(), 0
    file = folder / shard_name(stem, rank, size)
    try:
        save_file(parts, file, metadata={"first_rows": json.dumps(first_rows)})
    except SafetensorError as error:  # the library words what the system refused, and gives its number only as text
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(file)) from None


def read_shards(folder: Path, stem: str) -> dict[str, Tensor]:
    """Every tensor of ``stem`` in ``folder``, whole, whatever number of processes wrote them.

    Raises:
        LimpidError: no such file, one of several missing, or one damaged.
    """
    files = sorted(folder.glob(f"{stem}-*-of-*.safetensors")) or [folder / f"{stem}.safetensors"]
    if len(files) > 1 and len(files) != (count := int(files[0].stem.rpartition("-")[2])):
        raise LimpidError(f"{folder} holds {len(files)} of the {count} parts of {stem}; the checkpoint is incomplete.")
    pieces: dict[str, list[tuple[int, Tensor]]] = defaultdict(list)
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                first_rows = json.loads((opened.metadata() or {}).get("first_rows", "{}"))
                for name in opened.keys():  # noqa: SIM118 - not a dict
                    pieces[name].append((first_rows.get(name, 0), opened.get_tensor(name)))
        except FileNotFoundError:
            raise LimpidError(f"{file} does not exist; is {folder} a checkpoint?") from None
        except (SafetensorError, OSError) as error:
            raise LimpidError(f"{file} is damaged: {error}") from None
    return {
        name: parts[0][1] if len(parts) == 1 else torch.cat([t for _, t in sorted(parts, key=lambda p: p[0])])
        for name, parts in pieces.items()
    }
