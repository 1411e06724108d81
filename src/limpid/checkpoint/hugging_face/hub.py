"""Fetching a model from the Hugging Face hub, or a server that speaks its language (HF_ENDPOINT)."""

from __future__ import annotations

import re
from pathlib import Path

from limpid.core.errors import LimpidError

_WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.txt", "*.model", "*.spm"]


def is_hub_id(source: str) -> bool:
    """Whether ``source`` has the form OWNER/NAME (or NAME alone) of a hub id."""
    return re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) is not None and not source.startswith((".", "/"))


def fetch(hub_id: str, revision: str | None = None) -> Path:
    """The folder, in huggingface_hub's cache, with the model's safetensors, configs and tokenizer; no pickles.

    Raises:
        LimpidError: the library is absent, the model unknown or private, or the hub out of reach.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise LimpidError("fetching a model needs the package huggingface_hub: pip install 'limpid[hub]'.") from None
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=_WANTED, ignore_patterns=["*/*"]))
    except Exception as error:  # the library has dozens of its own, and those of its transport
        first = str(error).strip().partition("\n")[0]
        raise LimpidError(
            f"{hub_id} is no folder here, and could not be fetched from the hub ({type(error).__name__}: {first})."
        ) from None
