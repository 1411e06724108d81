"""From a path to a model that answers."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.inspection.word_vectors import WordVectors
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory
from limpid.text.tokenizer import Tokenizer


def load_language_model(path: str | PathLike[str], *, device: str = "auto", dtype: str = "auto") -> LanguageModel:
    """See `limpid.load`."""
    import torch

    keep_memory()
    where = torch.device(pick_device(device))
    checkpoint = store.read(Path(path))
    model = checkpoint.model.to(where)
    return LanguageModel(inference_copy(model, compute_dtype(dtype, where)), checkpoint.tokenizer)


def load_word_vectors(path: Path) -> WordVectors:
    """The word vectors of a skip-gram run, or the token embeddings of the model at ``path``.

    Raises:
        LimpidError: nothing there, or damaged.
    """
    file = next(
        (f for f in (path / "vectors.safetensors", path / "skipgram" / "vectors.safetensors") if f.exists()), None
    )
    if file is None:
        checkpoint = store.read(path)
        return WordVectors(checkpoint.tokenizer, checkpoint.model.embedding.weight.detach().float().numpy())
    try:
        table = load_file(file)["embedding"]
    except (OSError, KeyError, SafetensorError) as error:
        raise LimpidError(f"{file} holds no word vectors: {error}") from None
    return WordVectors(Tokenizer.load(file.parent / "tokenizer.json"), table)
