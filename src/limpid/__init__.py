"""limpid: a complete ChatGPT that one person can build, run and see through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.inference.language_model import LanguageModel

__version__ = "0.1.0"


def load(
    path: str | PathLike[str], *, device: str = "auto", dtype: str = "auto", draft: str | PathLike[str] | None = None
) -> LanguageModel:
    """A trained model, ready to answer.

    Args:
        path: a run, one of its checkpoints, or a demo folder (its last finished stage).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``int8`` (matrices of 8-bit numbers, on CPUs).
        draft: who guesses tokens ahead, which changes no answer but may hasten it: ``lookup`` (what followed these
            words the last time) or a smaller run of the same tokenizer.

    Raises:
        LimpidError: nothing there, or damaged.
    """
    from limpid.stages.load import load_language_model

    return load_language_model(path, device=device, dtype=dtype, draft=draft)


def train(recipe: str, overrides: Mapping[str, Any] | None = None, *, out: str | None = None) -> Iterator[Any]:
    """Pretrain by a recipe, yielding the events the command line shows: step reports, evaluations, samples."""
    from limpid.stages.pretrain import train as run

    return run(recipe, overrides or {}, out=out)
