"""A decoder written down as the operations of `kernels.c`, with its weights packed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from limpid.inference.native.library import UnknownPart, multiplies_bfloat16
from limpid.inference.native.packing import LANES, Arena, interleave, pack, pad
from limpid.models.decoder import Decoder
from limpid.nn.block import PostNormBlock, PreNormBlock
from limpid.nn.feedforward import ACTIVATIONS, FeedForward, SwiGLU
from limpid.nn.linear import Linear
from limpid.nn.norm import LayerNorm, RMSNorm

FLOAT32, BFLOAT16, INT8 = range(3)
EMBED, NORM, LINEAR, KEEP, ATTEND, TOTAL = range(6)
STORE, ADD, GLU, RELU, RELU2, SILU, GELU, GELU_TANH = range(8)
X, OPERAND, QKV, MIXED, INNER, LOGITS, BUFFERS = range(7)
AFTER = {"relu": RELU, "relu2": RELU2, "silu": SILU, "gelu": GELU, "gelu_tanh": GELU_TANH}


class Operation(ctypes.Structure):
    """One line of a program; `kernels.c` says what its fields mean."""

    _fields_ = [
        *[(name, ctypes.c_int32) for name in ("kind", "after", "stored", "input", "output", "rows_in", "rows_out")],
        *[(name, ctypes.c_int32) for name in ("layer", "window", "into_x", "wanted")],
        ("eps", ctypes.c_float),
        *[(name, ctypes.c_void_p) for name in ("weight", "second", "scale", "bias")],
    ]  # fmt: skip


class _Held(NamedTuple):
    """Memory that an operation points to, and how it is made anew from the model's present weights."""

    tensors: tuple[Tensor, ...]
    make: Callable[[], tuple[Tensor, ...]]


class Program:
    """The operations of a decoder.

    operand: how what a matrix multiplies is stored. widths: numbers a token has in each buffer.

    Raises:
        UnknownPart: the model has a part that the kernels do not know.
    """

    def __init__(self, model: Decoder, *, int8: bool = False) -> None:
        config = model.config
        self.int8 = int8
        self.stored = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}.get(model.embedding.weight.dtype, -1)
        if self.stored < 0:
            raise UnknownPart(f"weights of {model.embedding.weight.dtype}")
        low = self.stored == BFLOAT16 and not int8 and multiplies_bfloat16()
        self.operand = BFLOAT16 if low else FLOAT32
        for name in ("d_model", "head_dim", "d_ff"):
            if getattr(config, name) % LANES:
                raise UnknownPart(f"{name} {getattr(config, name)}, which is no multiple of {LANES}")
        self.widths = {
            X: config.d_model,
            OPERAND: config.d_model,
            QKV: (config.n_head + 2 * config.n_kv_head) * config.head_dim,
            MIXED: config.n_head * config.head_dim,
            INNER: config.d_ff,
            LOGITS: config.vocab_size,
        }
        self._held: list[_Held] = []
        numbers = sum(p.numel() for p in model.parameters()) + config.vocab_size * config.d_model  # a head may be tied
        bytes_each = 4 if self.stored == FLOAT32 else 2
        self._arena = Arena(numbers * bytes_each * 17 // 16 + 4 * config.context * config.d_model + 2**22)
        operations = self._assemble(model)
        self.operations = (Operation * len(operations))(*operations)
        self.cos, self.sin = self._turns(model)

    def refresh(self) -> None:
        """Pack the model's present weights, in the same places."""
        for held in self._held:
            for place, fresh in zip(held.tensors, held.make(), strict=True):
                place.copy_(fresh)

    # ------------------------------------------------------------------ the model, part by part

    def _assemble(self, model: Decoder) -> list[Operation]:
        table = self._keep(lambda: (model.embedding.weight.detach().contiguous(),))[0]
        second = None
        if model.positions is not None:
            positions, context = model.positions, model.config.context
            second = self._keep(lambda: (positions(torch.arange(context)).float().contiguous(),))[0]
        operations = [Operation(kind=EMBED, stored=self.stored, weight=_at(table), second=_at(second))]
        if any(type(block) is PostNormBlock for block in model.blocks):
            operations.append(Operation(kind=NORM))  # its first block takes the stream as it is
        for layer, (block, window) in enumerate(zip(model.blocks, model.windows, strict=True)):
            operations += self._block(block, layer, window)
        operations.append(self._norm(model.norm, wanted=1))
        if model.head.cap:
            raise UnknownPart("a head that bounds its scores")
        operations.append(self._linear(model.head, OPERAND, LOGITS, wanted=1))
        operations.append(Operation(kind=TOTAL, wanted=1))
        return operations

    def _block(self, block: nn.Module, layer: int, window: int) -> list[Operation]:
        if not isinstance(block, PreNormBlock | PostNormBlock) or type(block) not in (PreNormBlock, PostNormBlock):
            raise UnknownPart(f"a {type(block).__name__}")
        attention = block.attention
        mix = [
            self._linear(attention.qkv, OPERAND, QKV),
            Operation(kind=KEEP, layer=layer, **self._head_norm(attention.k_norm)),
            Operation(kind=ATTEND, layer=layer, window=window, **self._head_norm(attention.q_norm)),
            self._linear(attention.output, MIXED, X, after=ADD),
        ]
        feed = self._feed_forward(block.feed_forward)
        if type(block) is PreNormBlock:
            return [self._norm(block.attention_norm), *mix, self._norm(block.feed_forward_norm), *feed]
        first, second = (self._norm(n, into_x=1) for n in (block.attention_norm, block.feed_forward_norm))
        return [*mix, first, *feed, second]

    def _feed_forward(self, layer: nn.Module) -> list[Operation]:
        if type(layer) is SwiGLU:
            first = self._linear(layer.gate_up, OPERAND, INNER, after=GLU)
        elif type(layer) is FeedForward:
            name = next(name for name, function in ACTIVATIONS.items() if function is layer.activation)
            first = self._linear(layer.up, OPERAND, INNER, after=AFTER[name])
        else:
            raise UnknownPart(f"a {type(layer).__name__}")
        return [first, self._linear(layer.down, INNER, X, after=ADD)]

    def _linear(self, part: Linear, source: int, target: int, *, after: int = STORE, wanted: int = 0) -> Operation:
        def weights() -> tuple[Tensor, ...]:
            packed = pack(interleave(part.weight) if after == GLU else part.weight, int8=self.int8)
            return (packed.weight,) if packed.scale is None else (packed.weight, packed.scale)

        held = self._keep(weights)
        bias = None
        if (own := part.bias) is not None:
            bias = self._keep(lambda: (pad(own.detach().float()),))[0]
        rows_out, rows_in = part.weight.shape
        return Operation(
            kind=LINEAR, after=after, stored=INT8 if self.int8 else self.stored, input=source, output=target,
            rows_in=rows_in, rows_out=rows_out, wanted=wanted, weight=_at(held[0]),
            scale=_at(held[1]) if len(held) > 1 else None, bias=_at(bias),
        )  # fmt: skip

    def _norm(self, norm: nn.Module, *, into_x: int = 0, wanted: int = 0) -> Operation:
        fields: dict[str, Any] = {"kind": NORM, "into_x": into_x, "wanted": wanted}
        if type(norm) is nn.Identity:
            return Operation(**fields)
        if not isinstance(norm, RMSNorm | LayerNorm):
            raise UnknownPart(f"a {type(norm).__name__}")
        weight = self._keep(lambda: (norm.weight.detach().float(),))[0]
        bias = self._keep(lambda: (norm.bias.detach().float(),))[0] if isinstance(norm, LayerNorm) else None
        return Operation(**fields, eps=norm.eps, weight=_at(weight), bias=_at(bias))

    def _head_norm(self, norm: nn.Module) -> dict[str, Any]:
        if type(norm) is nn.Identity:
            return {}
        if not isinstance(norm, RMSNorm):
            raise UnknownPart(f"a {type(norm).__name__} of heads")
        return {"weight": _at(self._keep(lambda: (norm.weight.detach().float(),))[0]), "eps": norm.eps}

    def _turns(self, model: Decoder) -> tuple[Tensor | None, Tensor | None]:
        if model.rotary is None:
            return None, None
        cos, sin = model.rotary(torch.arange(model.config.context))
        return cos.contiguous(), sin.contiguous()

    def _keep(self, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Memory of our own with what ``make`` gives, for as long as the program lives."""
        own = tuple(self._arena.keep(tensor) for tensor in make())
        self._held.append(_Held(own, make))
        return own


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
