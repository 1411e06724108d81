"""A compiler sees the layers around the experts, never the experts: they get another number of tokens every time."""

from __future__ import annotations

import torch
from torch._dynamo.testing import CompileCounter

from limpid.nn.experts import Experts


@torch.no_grad()
def test_experts_are_run_as_they_are_within_what_is_compiled() -> None:
    experts = Experts(3, 4, 6, output_std=0.1)
    experts.reset_parameters(torch.Generator().manual_seed(0))
    inside: list[bool] = []
    forward = experts.forward

    def watched(*given: torch.Tensor) -> torch.Tensor:
        inside.append(torch.compiler.is_compiling())
        return forward(*given)

    experts.forward = watched  # type: ignore[method-assign]

    def layer(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return x.relu() + experts(x * 2, chosen, torch.full(chosen.shape, 0.5))

    experts.keep_from_compiler()
    counter = CompileCounter()
    compiled = torch.compile(layer, backend=counter, dynamic=False)
    drawn = torch.Generator().manual_seed(1)
    for _ in range(4):
        x, chosen = torch.randn(5, 4, generator=drawn), torch.randint(3, (5, 2), generator=drawn)
        assert torch.equal(compiled(x, chosen), layer(x, chosen))
    assert not any(inside)
    assert counter.frame_count <= 2  # before and after the experts, once each
