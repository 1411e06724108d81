"""FSDP2 applied from outside to a built model."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from limpid.parallel.environment import World


def shard(model: Any, world: World, dtype: torch.dtype) -> None:
    """Share parameters, gradients and optimizer state among the processes, block by block (a module without blocks as
    one); one process: unchanged.

    Weights are gathered in ``dtype`` and gradients reduced in float32.
    """
    if world.size == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in getattr(model, "blocks", ()):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def settle(model: nn.Module) -> None:
    """Put gathered weights back into their shards: a forward without a backward leaves the root's gathered."""
    fsdp = sys.modules.get("torch.distributed.fsdp")  # imported by the first `shard`
    if fsdp is not None and isinstance(model, fsdp.FSDPModule):
        model.reshard()
