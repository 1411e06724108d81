"""A twin of a model that can be watched: its modules are copies, its weights are the model's own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from limpid.models.model import Model
from limpid.nn.attention import ExplicitKernel
from limpid.nn.experts import Experts, MixtureOfExperts
from limpid.nn.feedforward import FeedForward, SwiGLU

M = TypeVar("M", bound=Model)
Edit = Callable[[Tensor], Tensor]
"""What is put in a tensor's place. It must not write into the one it is given."""

AT_ONCE = 2**22
"""Scores (numbers) that one product of the watched kernel makes; with more, key heads are taken one by one. 16 MiB of
them stay in a cache, which is twice as fast."""


def twin(model: M) -> M:
    """A copy of ``model``'s modules around its very weights, ready to answer.

    The model itself is never touched: no hook stands on it and no kernel of it is swapped, whatever is done with the
    twin, whoever computes with the model meanwhile. Its memory is that of the module objects; when the model learns, so
    does the twin.
    """
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    copy: M = deepcopy(model, shared)
    return copy.eval()


class Kept:
    """The notes of blocks, as many as ``budget`` bytes hold, at least one; the longest unused make room for others.

    lock: held while a block is run, so that several threads may look at once.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.lock = threading.RLock()
        self._notes: OrderedDict[Watch, dict[str, Tensor]] = OrderedDict()
        self._sizes: dict[Watch, int] = {}

    @property
    def bytes(self) -> int:
        """What the notes that are kept take."""
        return sum(self._sizes.values())

    def has_room(self) -> bool:
        """Whether the notes of one more block, as large as the largest so far, fit."""
        return self.bytes + max(self._sizes.values(), default=0) <= self.budget

    def get(self, watch: Watch) -> dict[str, Tensor] | None:
        if watch in self._notes:
            self._notes.move_to_end(watch)
        return self._notes.get(watch)

    def clear(self) -> None:
        self._notes.clear()
        self._sizes.clear()

    def put(self, watch: Watch, notes: dict[str, Tensor]) -> None:
        storages = {s.data_ptr(): s.nbytes() for s in (note.untyped_storage() for note in notes.values())}
        self._notes[watch], self._sizes[watch] = notes, sum(storages.values())
        while self.bytes > self.budget and len(self._notes) > 1:
            oldest, _ = self._notes.popitem(last=False)
            del self._sizes[oldest]


class Watch:
    """Stands at the points of one block of a twin: notes the tensors that pass, and puts edits in their place.

    entered: the arguments of the block in the first pass, x among them, with which it can be run again; left: what came
    out. What is noted in that pass goes to ``kept``, as far as there is room.
    """

    def __init__(self, block: nn.Module, kept: Kept) -> None:
        self.block, self.kept = block, kept
        self.entered: tuple[Any, ...] | None = None
        self.notes: dict[str, Tensor] | None = None
        self.edits: Mapping[str, Edit] = {}
        self.left: Tensor | None = None
        self._first = False
        block.register_forward_pre_hook(self._enter)
        for number, (norm, _) in enumerate(norms(block), start=1):
            norm.register_forward_hook(self._norm(f"ln{number}"))
        for name, attention in attentions(block).items():
            self._watch_attention(name, attention)
        self._watch_feed_forward(block.get_submodule("feed_forward"))
        block.register_forward_hook(self._leave)

    def inside(self) -> dict[str, Tensor]:
        """All that passed in the first pass: kept, or computed again."""
        with self.kept.lock:
            notes = self.kept.get(self)
            if notes is None:
                notes = {}
                with self._at_work(notes, {}), torch.no_grad():
                    self.block(*self._arguments())
                self.kept.put(self, notes)
            return notes

    def run(self, x: Tensor, edits: Mapping[str, Edit], memory: Tensor | None = None) -> Tensor:
        """The block's output for another x, (1, T, D), with edits made; memory: another output of the encoder."""
        args = self._arguments()
        others = args[1:] if memory is None else (args[1], memory, *args[3:])
        with self.kept.lock, self._at_work(None, edits), torch.no_grad():
            out: Tensor = self.block(x, *others)
        return out

    def _arguments(self) -> tuple[Any, ...]:
        assert self.entered is not None
        return self.entered

    def forget(self) -> None:
        """Let go of every tensor; the block can no longer be run again."""
        self.entered = self.left = None
        self.kept.clear()

    def at(self, name: str, value: Tensor) -> Tensor:
        """``value``, or what an edit makes of it; noted where notes are taken."""
        if name in self.edits:
            value = self.edits[name](value)
        if self.notes is not None:
            self.notes[name] = value
        return value

    @contextmanager
    def _at_work(self, notes: dict[str, Tensor] | None, edits: Mapping[str, Edit]) -> Iterator[None]:
        """Notes are taken and edits made within; neither afterwards, whatever happens."""
        self.notes, self.edits = notes, edits
        try:
            yield
        finally:
            self.notes, self.edits = None, {}

    def _enter(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.entered is None:
            self.entered = args
            self._first = True
            if self.kept.has_room():
                self.notes = {}
        return (self.at("hook_resid_pre", args[0]), *args[1:])

    def _leave(self, _: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor:
        out = self.at("hook_resid_post", out)
        if self._first:
            self._first, self.left = False, out
            if self.notes is not None:
                self.kept.put(self, self.notes)
                self.notes = None
        return out

    def _norm(self, name: str) -> Callable[..., Tensor]:
        def hook(_: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
            self.at(f"{name}.input", args[0])
            return self.at(f"{name}.hook_normalized", out)

        return hook

    def _watch_attention(self, name: str, attention: nn.Module) -> None:
        for part in ("qkv", "q", "kv", "q_norm", "k_norm"):
            if (module := getattr(attention, part, None)) is not None:
                self._output(f"{name}.{part}", module)
        attention.kernel = WatchedKernel(self, name)
        self._output("hook_attn_out" if name == "attn" else "hook_cross_attn_out", attention)

    def _watch_feed_forward(self, layer: nn.Module) -> None:
        if isinstance(layer, FeedForward | SwiGLU):
            self._output("mlp.up", layer.up if isinstance(layer, FeedForward) else layer.gate_up)
            layer.down.register_forward_pre_hook(lambda _, args: self.at("mlp.hook_post", args[0]))
            self._output("hook_mlp_out", layer)
        elif isinstance(layer, MixtureOfExperts):
            self._output("mlp.router", layer.router)
            layer.experts.register_forward_pre_hook(self._chosen)
            layer.register_forward_hook(lambda _, args, out: (self.at("hook_mlp_out", out[0]), *out[1:]))

    def _chosen(self, _: Experts, args: tuple[Tensor, Tensor, Tensor]) -> None:
        for name, value in zip(("input", "hook_expert_indices", "hook_expert_weights"), args, strict=True):
            self.at(f"mlp.{name}", value)

    def _output(self, name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _, args, out: self.at(name, out))


class WatchedKernel(nn.Module):
    """`ExplicitKernel` under a watch: what queries, keys and values it is given, and what it makes of them."""

    def __init__(self, watch: Watch, name: str) -> None:
        super().__init__()
        self.explicit = ExplicitKernel(0.0)
        self._at = lambda point, value: watch.at(f"{name}.{point}", value)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self._at("kernel_q", q), self._at("kernel_k", k), self._at("kernel_v", v)
        if mask is not None:
            self._at("mask", mask)
        return self._at("hook_z", self._mixed(q, k, v, mask))

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        if q.shape[1] * q.shape[2] * k.shape[2] <= AT_ONCE:
            return self.explicit(q, k, v, mask)
        heads = zip(q.split(groups, 1), k.split(1, 1), v.split(1, 1), strict=True)
        return torch.cat([self.explicit(*parts, mask) for parts in heads], 1)


def attentions(block: nn.Module) -> dict[str, nn.Module]:
    """The attentions of a block by their names here: ``attn``, and ``cross_attn`` where it looks at a source."""
    found = {"attn": block.get_submodule("attention")}
    if hasattr(block, "cross_attention"):
        found["cross_attn"] = block.get_submodule("cross_attention")
    return found


def norms(block: nn.Module) -> list[tuple[nn.Module, str]]:
    """The norms of a block in the order they are met, each with the name of the branch it belongs to."""
    branches = [("attention_norm", "attn"), ("cross_norm", "cross_attn"), ("feed_forward_norm", "mlp")]
    return [(block.get_submodule(name), branch) for name, branch in branches if hasattr(block, name)]
