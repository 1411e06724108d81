"""A decoder's forward pass over cache rows, by the kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.inference.forward import Piece, Scores
from limpid.inference.native.library import Unsupported, library
from limpid.inference.native.program import (
    BFLOAT16,
    BUFFERS,
    FLOAT32,
    INNER,
    LOGITS,
    MIXED,
    OPERAND,
    Operation,
    Program,
    X,
)
from limpid.inference.rows import CacheRows
from limpid.models.decoder import Decoder

QUERIES = 4
"""Tokens of a text that attend together; the number is that of `kernels.c`."""


_NUMBERS = (
    "operations", "tokens", "wanted_count", "span_count", "d_model", "heads", "kv_heads", "head_dim",
    "operand", "cached", "cache_rows", "cache_slots",
)  # fmt: skip
_ADDRESSES = ("cache", "ids", "rows", "slots", "wanted", "spans", "best", "log_total")


class Call(ctypes.Structure):
    """What the operations of one call share; `kernels.c` says what the fields mean."""

    __slots__ = ()  # a field that is misspelt is an error
    _fields_ = [
        *[(name, ctypes.c_int32) for name in _NUMBERS],
        ("list", ctypes.POINTER(Operation)),
        *[(name, ctypes.c_void_p) for name in ("cos", "sin")],
        ("buffers", ctypes.c_void_p * BUFFERS),
        ("strides", ctypes.c_int32 * BUFFERS),
        *[(name, ctypes.c_void_p) for name in _ADDRESSES],
    ]  # fmt: skip


class NativeForward:
    """`Forward` in C: one call for all tokens of a step, whoever they belong to; a token's numbers do not depend on the
    others, so answers do not either, to the bit.

    Args:
        model: an inference copy on the CPU; its weights are copied and packed.
        int8: matrices of 8-bit whole numbers with a scale for each output.

    Raises:
        Unsupported: no compiler, or a model with parts that the kernels do not know.
    """

    name = "C kernels"
    packs = True

    def __init__(self, model: Decoder, *, int8: bool = False) -> None:
        if model.embedding.weight.device.type != "cpu":
            raise Unsupported(f"the model is on {model.embedding.weight.device.type}")
        self._run = library().limpid_run
        self._threads = torch.get_num_threads()
        self.model = model
        self.program = program = Program(model, int8=int8)
        config = model.config
        self._call = Call(
            operations=len(program.operations), d_model=config.d_model, heads=config.n_head,
            kv_heads=config.n_kv_head, head_dim=config.head_dim, operand=program.operand,
            list=program.operations, strides=tuple(program.widths[buffer] for buffer in range(BUFFERS)),
            cos=None if program.cos is None else program.cos.data_ptr(),
            sin=None if program.sin is None else program.sin.data_ptr(),
        )  # fmt: skip
        self._buffers: list[Tensor] = []
        self._numbers = np.empty((5, 0), dtype=np.int32)
        self._capacity = 0

    def refresh(self) -> None:
        """Take over the present weights of the model."""
        self.program.refresh()

    def __call__(self, rows: CacheRows, pieces: Sequence[Piece]) -> Scores:
        ids = [token for piece in pieces for token in piece.ids]
        count = len(ids)
        if count > self._capacity:
            self._reserve(count)
        wanted: list[int] = []
        spans: list[int] = []
        end = 0
        for piece in pieces:
            spans += range(end, end + len(piece.ids), QUERIES)
            end += len(piece.ids)
            wanted += range(end - piece.wanted, end)
        spans.append(end)
        numbers = self._numbers
        numbers[0, :count] = ids
        if count == len(pieces):
            numbers[1, :count] = [piece.row for piece in pieces]
            numbers[2, :count] = [piece.start for piece in pieces]
        else:
            numbers[1, :count] = [piece.row for piece in pieces for _ in piece.ids]
            numbers[2, :count] = [piece.start + i for piece in pieces for i in range(len(piece.ids))]
        numbers[3, : len(wanted)] = wanted
        numbers[4, : len(spans)] = spans
        logits = torch.empty(len(wanted), self.program.widths[LOGITS])
        best, log_total = torch.empty(len(wanted), dtype=torch.int64), torch.empty(len(wanted))
        call, block = self._call, rows.block
        call.tokens, call.wanted_count, call.span_count = count, len(wanted), len(spans) - 1
        call.cache, call.cached = block.data_ptr(), BFLOAT16 if block.dtype == torch.bfloat16 else FLOAT32
        call.cache_rows, call.cache_slots = block.shape[1], block.shape[3]
        call.best, call.log_total = best.data_ptr(), log_total.data_ptr()
        call.buffers[LOGITS] = logits.data_ptr()
        if self._run(ctypes.addressof(call), self._threads):
            raise LimpidError(f"the model has more operations ({call.operations}) than the C kernels carry out.")
        return Scores(logits, log_total, best, self._buffers[OPERAND][: len(wanted)])

    def _reserve(self, tokens: int) -> None:
        """Buffers for so many tokens at once."""
        self._capacity = max(tokens, 2 * self._capacity, 8)
        low = torch.bfloat16 if self.program.operand == BFLOAT16 else torch.float32
        self._buffers = [
            torch.zeros(
                0 if buffer == LOGITS else self._capacity,
                self.program.widths[buffer],
                dtype=low if buffer in (OPERAND, MIXED, INNER) else torch.float32,
            )
            for buffer in range(X, BUFFERS)
        ]
        for buffer, memory in enumerate(self._buffers):
            self._call.buffers[buffer] = memory.data_ptr()
        self._numbers = np.zeros((5, self._capacity + 1), dtype=np.int32)
        address, stride = self._numbers.ctypes.data, self._numbers.strides[0]
        for place, name in enumerate(("ids", "rows", "slots", "wanted", "spans")):
            setattr(self._call, name, address + place * stride)
