"""A model of ours -> a folder that transformers and vLLM load unmodified."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from limpid.checkpoint.hugging_face.families import layout_of
from limpid.checkpoint.hugging_face.folder import write_tensors
from limpid.checkpoint.hugging_face.rows import to_theirs
from limpid.checkpoint.hugging_face.tokenizer import generation_config, write_tokenizer
from limpid.models.model import Model
from limpid.text.tokenizer import Tokenizer


def write_model(folder: Path, model: Model, tokenizer: Tokenizer, dtype: torch.dtype, shard_bytes: int) -> None:
    """Write config.json, generation_config.json, the tensors and the tokenizer.

    Raises:
        LimpidError: Hugging Face has no architecture of these parts; nothing is written then.
    """
    layout = layout_of(model.config)
    endings = generation_config(tokenizer)
    closing: str | None = None
    if layout.config.get("is_encoder_decoder", False):  # what the decoder begins with, and the source ends with
        begin, end = (getattr(model.config, name) for name in ("start_token", "end_token"))
        endings["decoder_start_token_id"] = tokenizer.end_of_text if begin is None else begin
        closing = tokenizer.token_text(tokenizer.end_of_text if end is None else end)
    name = str(dtype).removeprefix("torch.")
    # torch_dtype is what readers before transformers 5 know dtype by.
    config = layout.config | {"dtype": name, "torch_dtype": name, "bos_token_id": None} | endings
    write_tensors(folder, to_theirs(layout.rows, dict(model.named_parameters())), dtype, shard_bytes)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps(endings, indent=2), encoding="utf-8")
    write_tokenizer(folder, tokenizer, model.config.context, closing)
