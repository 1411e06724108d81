"""The processes of one run: who I am among them, and the few words they exchange."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from limpid.core.errors import LimpidError

T = TypeVar("T")


class World(NamedTuple):
    """rank of size processes; device is this process's own."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes logs and files that are written once."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, on each."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.size == 1:
            return flag
        vote = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(vote, op=dist.ReduceOp.MAX)
        return bool(vote.item())

    def tell(self, text: str) -> str:
        """The leader's text, on every process."""
        if self.size == 1:
            return text
        box = [text]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """What each process has, in the order of their ranks, on every one. It is pickled, so from us alone."""
        if self.size == 1:
            return [value]
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, value)
        return everyone

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def share(self, rows: int) -> tuple[int, int]:
        """This process's part of ``rows`` rows, as (start, stop).

        Raises:
            LimpidError: the rows do not divide evenly.
        """
        if rows % self.size:
            raise LimpidError(
                f"a batch of {rows} rows cannot be shared by {self.size} processes; "
                "set train.tokens_per_step to a multiple of model.context x processes."
            )
        each = rows // self.size
        return self.rank * each, (self.rank + 1) * each


def enter(device: str = "auto") -> World:
    """Join the processes that torchrun started, or be the only one.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``.
    """
    kind = pick_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    mine = torch.device("cuda", local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(mine)
    if size == 1:
        return World(0, 1, mine)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size(), mine)


def leave() -> None:
    """Part from the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def pick_device(wish: str) -> str:
    """``auto`` resolved; a device that is not there is an error, never another one silently."""
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        return "cuda" if has["cuda"] else "cpu"
    if wish not in has:
        raise LimpidError(f"no device is called '{wish}'; there are auto, cpu, cuda and mps.")
    if not has[wish]:
        raise LimpidError(f"train.device = {wish}, but torch {torch.__version__} sees no such device here.")
    return wish
