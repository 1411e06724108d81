"""Checkpoints: folders written beside and renamed into place, checked by hash, kept by rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

from torch import Tensor, nn

from limpid.checkpoint.shards import read_shards, write_shard
from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_directory, remove_directory
from limpid.core.recipe import Section, parse
from limpid.models.decoder import Decoder
from limpid.models.lora import LoraSection, add_lora, merge_lora
from limpid.models.model import Model
from limpid.models.registry import build, config_from_table, require_kind
from limpid.nn.sharded import is_sharded
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer

FORMAT = 1
STAGES = ("pretrain", "sft", "distill", "dpo", "grpo", "ppo")
"""Sub-runs of a demo folder, first to last."""


class CheckpointSection(Section):
    """every: steps between checkpoints (0: only the last). keep: how many of the newest stay, beside the best,
    which is saved as it is found (unless every is 0)."""

    every: int = 200
    keep: int = 2


M = TypeVar("M", bound=Model)


class Checkpoint(NamedTuple, Generic[M]):
    """What a checkpoint folder holds. config: that of the model's family. state: {"step", "seconds", "tokens", ...}."""

    path: Path
    config: Any
    model: M
    tokenizer: Tokenizer
    state: dict[str, Any]


def write(
    path: Path,
    model: Model,
    tokenizer: Tokenizer,
    state: dict[str, Any],
    world: World,
    more: Mapping[str, dict[str, Tensor]] | None = None,
) -> None:
    """Write a checkpoint at ``path``; every process writes its own part, the leader moves the whole into place.

    more: what a resume needs besides the model, a file each: name -> tensors.
    """
    parts = {"model": _unique(model), **(more or {})}
    if not world.leads:
        _write_parts(Path(world.tell("")), parts, world)
        return
    with atomic_directory(path) as folder:
        world.tell(str(folder))
        (folder / "config.json").write_text(model.config.model_dump_json(indent=1), encoding="utf-8")
        if model.lora is not None:
            (folder / "lora.json").write_text(model.lora.model_dump_json(indent=1), encoding="utf-8")
        (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        (folder / "state.json").write_text(json.dumps({"format": FORMAT, **state}, indent=1), encoding="utf-8")
        _write_parts(folder, parts, world)
        _write_sums(folder)


def write_tensors(path: Path, tensors: dict[str, Tensor], tokenizer: Tokenizer, state: dict[str, Any]) -> Path:
    """As `write`, for tables that are no model of a family; one process."""
    with atomic_directory(path) as folder:
        (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        (folder / "state.json").write_text(json.dumps({"format": FORMAT, **state}, indent=1), encoding="utf-8")
        write_shard(folder, "model", tensors, 0, 1)
        _write_sums(folder)
    return path


def _write_sums(folder: Path) -> None:
    sums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _write_parts(folder: Path, parts: Mapping[str, dict[str, Tensor]], world: World) -> None:
    for name, tensors in parts.items():
        write_shard(folder, name, tensors, world.rank, world.size)
    world.wait()


def verify(path: Path) -> None:
    """Raise LimpidError unless ``path`` is a whole checkpoint whose files hash to their checksums."""
    try:
        sums = json.loads((path / "checksums.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise LimpidError(f"{path} is no whole checkpoint: checksums.json is missing or unreadable.") from None
    for name, digest in sums.items():
        if not (path / name).is_file():
            raise LimpidError(f"{path} is no whole checkpoint: {name} is missing.")
        if _sha256(path / name) != digest:
            raise LimpidError(f"{path / name} is damaged: its SHA-256 is not the one recorded. Use another checkpoint.")


def fingerprint(path: Path) -> bytes:
    """16 bytes that say which model a checkpoint holds: its config, its tokenizer and its weights."""
    sums = json.loads((path / "checksums.json").read_text(encoding="utf-8"))
    kept = {name: digest for name, digest in sums.items() if name.startswith(("config", "model", "tokenizer", "lora"))}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).digest()[:16]


@overload
def read(path: Path, *, merge: bool = True) -> Checkpoint[Decoder]: ...


@overload
def read(path: Path, kind: type[M], *, merge: bool = True) -> Checkpoint[M]: ...


def read(path: Path, kind: type[Model] = Decoder, *, merge: bool = True) -> Checkpoint[Any]:
    """The checkpoint that ``path`` (a checkpoint, a run, or a demo folder) stands for, on the CPU in float32.

    kind: the class of model that the caller can use; a checkpoint of another is refused. merge: whether LoRA adapters
    become part of the weights, as every use but going on with them wants it.

    Raises:
        LimpidError: nothing there, damaged, or tensors that are missing, extra or of another shape (all named).
    """
    folder = find(path)
    verify(folder)
    state = state_of(folder)
    if state.get("format") != FORMAT:
        raise LimpidError(f"{folder} has checkpoint format {state.get('format')}; this limpid reads {FORMAT}.")
    if not (folder / "config.json").is_file():
        raise LimpidError(f"{folder} holds word vectors and no model; limpid embed opens them.")
    config = config_from_table(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(folder))
    require_kind(config.family, kind, str(folder))
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if tokenizer.vocab_size != config.vocab_size:
        raise LimpidError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {config.vocab_size}; "
            "they do not belong together."
        )
    model = build(config)
    if (folder / "lora.json").is_file():
        table = json.loads((folder / "lora.json").read_text(encoding="utf-8"))
        add_lora(model, parse(LoraSection, table, f"{folder}/lora.json"), seed=0)
    load_tensors(model, read_shards(folder, "model"), str(folder))
    if merge and model.lora is not None:
        merge_lora(model)
    return Checkpoint(folder, config, model, tokenizer, state)


def state_of(folder: Path) -> dict[str, Any]:
    """What was saved beside the weights of a checkpoint: stage, step, best, tokens, seconds."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return state


def load_tensors(model: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Copy tensors into the model's parameters, all of them or none; a sharded parameter takes its own rows."""
    wanted = _unique(model)
    faults = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    faults += [f"{name} is not the model's" for name in tensors.keys() - wanted.keys()]
    faults += [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if wanted[name].shape != tensors[name].shape
    ]
    if faults:
        raise LimpidError(f"{where} does not fit the model: {'; '.join(sorted(faults))}.")
    for name, parameter in wanted.items():
        value = tensors[name]
        if is_sharded(parameter):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
        parameter.data.copy_(value)


def find(path: Path) -> Path:
    """The checkpoint folder meant by ``path``: itself, a run's newest, or the newest of a line's last stage.

    Of a line of stages the last finished one counts; where none is finished, the last with a checkpoint.
    """
    if (path / "checksums.json").is_file():
        return path
    if steps := steps_of(path):
        return checkpoint_path(path, steps[-1])
    begun = [path / stage for stage in reversed(STAGES) if steps_of(path / stage)]
    for run in [run for run in begun if (run / "summary.json").is_file()] or begun:
        return checkpoint_path(run, steps_of(run)[-1])
    if not path.exists():
        siblings = sorted(p.name for p in path.parent.iterdir() if p.is_dir()) if path.parent.is_dir() else []
        where = "this folder" if path.parent == Path() else path.parent
        there = f" In {where} there are: {', '.join(siblings)}." if siblings else ""
        raise LimpidError(f"there is no run at {path}.{there}")
    raise LimpidError(f"{path} holds no finished checkpoint; train one there first, or name another run.")


def checkpoint_path(run: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` steps lies."""
    return run / "checkpoints" / f"step-{step:08d}"


def steps_of(run: Path) -> list[int]:
    """The steps a run has whole checkpoints of, ascending."""
    names = (p.parent.name.removeprefix("step-") for p in run.glob("checkpoints/step-*/checksums.json"))
    return sorted(int(name) for name in names if name.isdecimal())  # a copy somebody made has a name of its own


def prune(run: Path, keep: int, best: int | None) -> None:
    """Delete all but the newest ``keep`` and the best, once the newest is known to be whole."""
    steps = steps_of(run)
    verify(checkpoint_path(run, steps[-1]))
    for step in steps[:-keep] if keep else []:
        if step != best:
            remove_directory(checkpoint_path(run, step))


def _unique(model: nn.Module) -> dict[str, Tensor]:
    """Parameters by name, a shared one once."""
    return dict(model.named_parameters())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
