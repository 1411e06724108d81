"""From a path to a model that answers."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from limpid.checkpoint import store
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory


def load_language_model(path: str | PathLike[str], *, device: str = "auto", dtype: str = "auto") -> LanguageModel:
    """See `limpid.load`."""
    import torch

    keep_memory()
    where = torch.device(pick_device(device))
    checkpoint = store.read(Path(path))
    model = checkpoint.model.to(where)
    return LanguageModel(inference_copy(model, compute_dtype(dtype, where)), checkpoint.tokenizer)
