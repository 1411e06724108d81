"""Writing a GGUF file, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpid.checkpoint.llama_cpp.tensors import plan
from limpid.checkpoint.llama_cpp.vocabulary import Vocabulary, vocabulary
from limpid.core.errors import LimpidError
from limpid.models.model import Model
from limpid.models.registry import build
from limpid.text.tokenizer import Tokenizer

DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
"""Name -> gguf's. q8_0: blocks of 32 numbers as 8-bit integers that share one 16-bit scale."""

_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7}
_BLOCK = 32


def require_gguf() -> Any:
    """The package gguf. Raises LimpidError where it is not installed."""
    try:
        import gguf
    except ImportError:
        raise LimpidError("writing GGUF files needs the package gguf: pip install 'limpid[gguf]'.") from None
    return gguf


def write_gguf(path: Path, model: Model, tokenizer: Tokenizer, dtype: str, name: str) -> Vocabulary:
    """Write ``path`` with matrices in ``dtype``; vectors, routers and tables of positions stay float32.

    A matrix whose rows are no multiple of 32 numbers is float16 in a q8_0 file. Returns the vocabulary it holds.

    Raises:
        LimpidError: llama.cpp has no such architecture or tokenizer, or the package gguf is not installed.
    """
    gguf = require_gguf()
    planned, words = plan(model.config), vocabulary(tokenizer)
    writer = gguf.GGUFWriter(path, planned.architecture)
    writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[dtype])
    for key, value in planned.settings.items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        add(f"{planned.architecture}.{key}", value)
    writer.add_tokenizer_model(words.model)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    if words.scores is None:
        writer.add_tokenizer_pre(words.pre)
        writer.add_token_merges(words.merges)
    else:
        writer.add_token_scores(words.scores)
    if words.charsmap:
        writer.add_precompiled_charsmap(words.charsmap)
    for key, value in words.settings.items():
        if isinstance(value, bool):
            writer.add_bool(f"tokenizer.ggml.{key}", value)
        elif isinstance(value, int):
            writer.add_uint32(f"tokenizer.ggml.{key}", value)
        else:
            writer.add_string("tokenizer.chat_template", value)
    for tensor_name, tensor in planned.pieces_of(dict(model.named_parameters())).items():
        kind = gguf.GGMLQuantizationType[DTYPES[stored_as(tensor_name, tuple(tensor.shape), dtype)]]
        data = tensor.detach().float().contiguous().numpy()
        writer.add_tensor(tensor_name, gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return words


def stored_as(name: str, shape: tuple[int, ...], dtype: str) -> str:
    """The type that a tensor has in a file of ``dtype``."""
    if len(shape) == 1 or name.endswith(("position_embd.weight", "ffn_gate_inp.weight")):
        return "f32"
    return "f16" if dtype == "q8_0" and shape[-1] % _BLOCK else dtype


@torch.no_grad()
def read_gguf(path: Path, config: Any) -> tuple[Any, Vocabulary]:
    """The model (of our ``config``) and the vocabulary in a GGUF file, read with the package gguf."""
    gguf = require_gguf()
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    parts = {
        tensor.name: torch.from_numpy(
            np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(tensor.shape[::-1])
        )
        for tensor in reader.tensors
    }
    model = build(config)
    found = plan(config).ours_of(parts)
    for name, parameter in model.named_parameters():
        parameter.copy_(found[name])
    own = {name.removeprefix("tokenizer.ggml."): value for name, value in fields.items()}
    words = Vocabulary(
        own["tokens"], own["token_type"], own.get("merges", []), own.get("pre", ""), exact=True, settings=own,
        model=own["model"], scores=own.get("scores"), charsmap=bytes(own.get("precompiled_charsmap", [])),
    )  # fmt: skip
    return model.eval(), words


def rounded(name: str, tensor: Tensor, dtype: str) -> Tensor:
    """What is left of a tensor in a file of ``dtype``, computed here and not by gguf; float32."""
    match stored_as(name, tuple(tensor.shape), dtype):
        case "f16":
            return tensor.half().float()
        case "bf16":
            return tensor.bfloat16().float()
        case "q8_0":
            blocks = tensor.float().reshape(-1, _BLOCK)
            scale = blocks.abs().amax(dim=1, keepdim=True) / 127
            steps = blocks * torch.where(scale > 0, 1 / scale, 0.0)
            whole = torch.sign(steps) * torch.floor(steps.abs() + 0.5)
            return (whole * scale.half().float()).reshape(tensor.shape)
    return tensor.float()
