"""From a path to a model that answers."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.inference.engine import fastest_forward
from limpid.inference.language_model import LanguageModel
from limpid.inference.speculation import Drafter, DraftModel, PromptLookup
from limpid.inference.weights import inference_copy
from limpid.inspection.word_vectors import WordVectors
from limpid.models.model import Model
from limpid.models.task import TaskModel
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory
from limpid.text.tokenizer import Tokenizer

Floats = npt.NDArray[np.float32]
LOOKUP = "lookup"
"""The name of the drafter that needs no model."""
BEST = "best"
"""The folder in a translator's run that holds the weights to translate with: averaged, or the best by validation."""


class Precision(NamedTuple):
    """dtype: of activations, and of matrices but where int8 says that they are 8-bit numbers."""

    dtype: torch.dtype
    int8: bool


def precision(wish: str, device: torch.device) -> Precision:
    """A ``dtype`` as the command line takes it: those of `compute_dtype`, and int8."""
    return Precision(compute_dtype("auto" if wish == "int8" else wish, device), wish == "int8")


def load_language_model(
    path: str | PathLike[str], *, device: str = "auto", dtype: str = "auto", draft: str | PathLike[str] | None = None
) -> LanguageModel:
    """See `limpid.load`."""
    keep_memory()
    where = torch.device(pick_device(device))
    wanted = precision(dtype, where)
    checkpoint = store.read(Path(path))
    model = inference_copy(checkpoint.model.to(where), wanted.dtype)
    lm = LanguageModel(model, checkpoint.tokenizer, int8=wanted.int8)
    if draft is not None:
        lm.engine.drafter = drafter(draft, checkpoint.tokenizer, where, wanted.dtype)
    return lm


def drafter(draft: str | PathLike[str], tokenizer: Tokenizer, device: torch.device, dtype: torch.dtype) -> Drafter:
    """Prompt look-up, or the run at ``draft``.

    Raises:
        LimpidError: nothing there, or the run has another tokenizer than the one whose answers it is to guess.
    """
    if draft == LOOKUP:
        return PromptLookup()
    small = store.read(Path(draft))
    if small.tokenizer.fingerprint != tokenizer.fingerprint:
        raise LimpidError(f"{draft} has another tokenizer than the model it is to draft for; both must share one.")
    model = inference_copy(small.model.to(device), dtype)
    return DraftModel(model, fastest_forward(model), tokenizer.vocab_size)


def weights_of(path: Path) -> Path:
    """What to read of a run: a translator's best weights, a finished classifier's best by validation, else its newest.

    Raises:
        LimpidError: nothing there.
    """
    run = path / "seq2seq" if (path / "seq2seq").is_dir() else path
    if (run / BEST / "checksums.json").is_file():
        return run / BEST
    newest = store.find(run)
    state = store.state_of(newest)
    if newest == run or state.get("stage") != "classify" or "best" not in state:
        return newest
    return store.checkpoint_path(newest.parent.parent, state["best"]["step"])


def load_subject(path: Path, *, device: str = "auto") -> tuple[Model, Tokenizer]:
    """The model of a run of any kind and its tokenizer, to be looked into, float32.

    Raises:
        LimpidError: nothing there, or damaged.
    """
    checkpoint = store.read(weights_of(path), Model)
    return checkpoint.model.to(pick_device(device)).eval(), checkpoint.tokenizer


class Tables(NamedTuple):
    """The tables of a model that have a row for each token, float32.

    path: of the checkpoint or file they are from. rows: by name, (V, D): "input", the embedding; and "output", what a
    final state is multiplied by, where that is another table. model: None where there is none, but vectors of words.
    """

    path: Path
    tokenizer: Tokenizer
    rows: dict[str, Floats]
    model: Model | None

    def words(self, table: str = "input") -> WordVectors:
        """Raises LimpidError where there is no such table."""
        if table not in self.rows:
            raise LimpidError(f"{self.path} has no table '{table}'; it has {', '.join(self.rows)}.")
        return WordVectors(self.tokenizer, self.rows[table])


def load_tables(path: Path) -> Tables:
    """The tables of a skip-gram run, or of the model of any kind at ``path``.

    Raises:
        LimpidError: nothing there, or damaged.
    """
    file = next(
        (f for f in (path / "vectors.safetensors", path / "skipgram" / "vectors.safetensors") if f.exists()), None
    )
    if file is not None:
        try:
            table = load_file(file)["embedding"]
        except (OSError, KeyError, SafetensorError) as error:
            raise LimpidError(f"{file} holds no word vectors: {error}") from None
        return Tables(file, Tokenizer.load(file.parent / "tokenizer.json"), {"input": table}, None)
    checkpoint = store.read(weights_of(path), Model)
    whole = checkpoint.model
    model: Any = whole.backbone if isinstance(whole, TaskModel) else whole
    rows = {"input": model.embedding.weight.detach().float().numpy()}
    head: Any = None if isinstance(whole, TaskModel) else model.head  # a task's backbone foretells no token
    if head is not None and head.weight is not model.embedding.weight:
        rows["output"] = head.weight.detach().float().numpy()
    return Tables(checkpoint.path, checkpoint.tokenizer, rows, model)


def load_word_vectors(path: Path) -> WordVectors:
    """The word vectors of a skip-gram run, or the token embeddings of the model at ``path``.

    Raises:
        LimpidError: nothing there, or damaged.
    """
    return load_tables(path).words()
