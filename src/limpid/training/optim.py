"""Optimizers: AdamW for tables, norms and heads, Muon for the matrices in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from limpid.core.recipe import Section
from limpid.models.lora import is_adapter
from limpid.nn.heads import Embedding
from limpid.nn.position import LearnedPositions
from limpid.nn.sharded import is_sharded, whole

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class OptimSection(Section):
    """kind: ``muon`` (matrices by Muon, the rest by AdamW) or ``adamw`` (everything).

    lr: of the matrices (Muon) or of everything (AdamW); unset: 0.02 for muon, 1e-3 for adamw.
    embedding_lr, head_lr: of the token table and the output head under muon, for a width of 768; both are scaled by
    (d_model/768)^-1/2; a table that is both is trained at head_lr. scalar_lr: of norms, biases and whatever else has
    one dimension, under muon. weight_decay: decoupled, on matrices only. momentum: of Muon, Nesterov's. beta1, beta2:
    of AdamW, the decays of its means of the gradient and of its square. clip: the most that the norm of the whole
    gradient may be; 0: any. z_loss: coefficient of the square of log(sum(exp(logits))), which keeps logits small
    (Chowdhery et al. 2022, section 5); 0: none.
    """

    kind: Literal["muon", "adamw"] = "muon"
    lr: Positive | None = None
    embedding_lr: Positive = 0.2
    head_lr: Positive = 0.004
    scalar_lr: Positive = 0.01
    weight_decay: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.8
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    clip: NotNegative = 1.0
    z_loss: NotNegative = 0.0

    @property
    def matrix_lr(self) -> float:
        """``lr``, or what it is unless said."""
        return self.lr or {"muon": 0.02, "adamw": 1e-3}[self.kind]


def orthogonalise(stack: Tensor, dtype: torch.dtype, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices, approximately, by a quintic Newton-Schulz iteration (Jordan et al. 2024).

    Shapes: stack (..., R, C), all at once; computed in ``dtype``. Singular values come out between about 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.to(dtype).flatten(0, -3)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # a x + (b g + c g g) x
    return (x.mT if tall else x).reshape(stack.shape)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised: every direction of a matrix moves by the same amount (Jordan et al. 2024).

    Matrices of one shape are stacked and orthogonalised together; a parameter of three dimensions is a stack of them
    (the experts of a layer). Nesterov momentum; decoupled weight decay; the
    step is scaled by sqrt(max(1, rows/columns)). A sharded (DTensor) gradient is gathered whole for the iteration,
    which runs in ``dtype``: the compute dtype of the model.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], *, lr: float, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"])
                alike[p.shape].append((p, whole(update)))
            for shape, members in alike.items():
                scale = max(1.0, shape[-2] / shape[-1]) ** 0.5
                directions = orthogonalise(torch.stack([update for _, update in members]), self.dtype)
                for (matrix, _), direction in zip(members, directions.float().unbind(), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(_shared_like(matrix, direction), alpha=-group["lr"] * scale)


def _shared_like(p: Tensor, full: Tensor) -> Tensor:
    """``full``, every rank holding all of it, cut as ``p`` is."""
    if not is_sharded(p):
        return full
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(full, p.device_mesh, p.placements)


class Optimizers:
    """The optimizers of one model, stepped together; remembers each group's base rate so that a factor can scale it."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts
        for part in parts:
            for group in part.param_groups:
                group["base_lr"] = group["lr"]

    def step(self, factor: float) -> None:
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["base_lr"] * factor
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def tensors(self, names: dict[nn.Parameter, str]) -> dict[str, Tensor]:
        """Every state tensor, named ``parameter/state``: what a checkpoint holds."""
        return {  # torch types the keys of ``state`` as Tensor; they are the parameters
            f"{names[cast(nn.Parameter, p)]}/{key}": value if isinstance(value, Tensor) else torch.tensor(value)
            for part in self.parts
            for p, state in part.state.items()
            for key, value in state.items()
        }

    def load_tensors(self, names: dict[nn.Parameter, str], tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave; a state tensor may be whole where the parameter is sharded."""
        of_name = {name: p for p, name in names.items()}
        owner = {p: part for part in self.parts for group in part.param_groups for p in group["params"]}
        for key, value in tensors.items():
            name, _, state_key = key.rpartition("/")
            p = of_name[name]
            owner[p].state[p][state_key] = _shared_like(p, value) if value.shape == p.shape else value


class _Sorted(NamedTuple):
    """A model's parameters by the treatment they get."""

    matrices: list[nn.Parameter]
    tables: list[nn.Parameter]
    head: list[nn.Parameter]
    scalars: list[nn.Parameter]
    adapters: list[nn.Parameter]


def _sorted(model: nn.Module) -> _Sorted:
    """tables: looked up by token or position. head: the output matrices (a task model has two), unless one is a table
    too. scalars: all that has one dimension (norms, biases, scalars). adapters: of LoRA. matrices: the rest. What is
    frozen is in none."""
    adapters = [p for name, p in model.named_parameters() if is_adapter(name)]
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad and not is_adapter(name)]
    lookup = {m.weight for m in model.modules() if isinstance(m, Embedding | LearnedPositions)}
    wide = [("head" in name.split("."), p) for name, p in named if p.dim() >= 2 and p not in lookup]
    return _Sorted(
        matrices=[p for is_head, p in wide if not is_head],
        tables=[p for _, p in named if p in lookup],
        head=[p for is_head, p in wide if is_head],
        scalars=[p for _, p in named if p.dim() < 2],
        adapters=adapters,
    )


def training_bytes(model: nn.Module, kind: str = "muon") -> int:
    """Memory of a training run's float32 weights, gradients and optimizer state; activations come on top.

    AdamW keeps two numbers a parameter; Muon, for the matrices, one.
    """
    all_numbers = sum(p.numel() for p in model.parameters())
    saved = sum(p.numel() for p in _sorted(model).matrices) if kind == "muon" else 0
    return 4 * (4 * all_numbers - saved)


def build_optimizers(model: nn.Module, section: OptimSection, d_model: int, dtype: torch.dtype) -> Optimizers:
    """AdamW over everything, or Muon (iterating in ``dtype``) over the blocks' matrices and AdamW over the rest.

    LoRA's adapters are AdamW's in either case, at a rate of their own.
    """
    blocks, embedding, head, scalars, adapters = _sorted(model)
    lora = getattr(model, "lora", None)
    own = [{"params": adapters, "lr": lora.lr, "weight_decay": section.weight_decay}] if lora is not None else []
    betas = (section.beta1, section.beta2)
    fused = not any(is_sharded(p) for p in model.parameters())
    if section.kind == "adamw":
        lr = section.matrix_lr
        groups = [
            {"params": blocks + embedding + head, "weight_decay": section.weight_decay, "lr": lr},
            {"params": scalars, "weight_decay": 0.0, "lr": lr},
            *own,
        ]
        return Optimizers([torch.optim.AdamW([g for g in groups if g["params"]], betas=betas, fused=fused)])
    width = (d_model / 768) ** -0.5
    tied = not head  # one table for both: it has the head's small scale, and so the head's rate
    groups = [
        {"params": embedding, "lr": (section.head_lr if tied else section.embedding_lr) * width, "weight_decay": 0.0},
        {"params": head, "lr": section.head_lr * width, "weight_decay": 0.0},
        {"params": scalars, "lr": section.scalar_lr, "weight_decay": 0.0},
        *own,
    ]
    adamw = torch.optim.AdamW([g for g in groups if g["params"]], betas=betas, eps=1e-10, fused=fused)
    if not blocks:
        return Optimizers([adamw])
    muon = Muon(blocks, lr=section.matrix_lr, momentum=section.momentum, weight_decay=section.weight_decay, dtype=dtype)
    return Optimizers([muon, adamw])
