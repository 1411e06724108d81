"""The Hugging Face hub, through the optional library `datasets`."""

from __future__ import annotations

import importlib
import os
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from limpid.core.errors import LimpidError
from limpid.data.document import Split
from limpid.data.split_names import SPLIT_NAMES

SECONDS = 5.0
"""How long the hub has to answer before it is taken to be out of reach."""
SAVED = ("dataset_dict.json", "state.json")
"""What `datasets` writes into a folder it saves a data set to."""


def open_hub(path: str, key: str = "data.path") -> dict[Split, Iterable[dict[str, Any]]]:
    """The rows of ``hub:OWNER/NAME`` or ``hub:OWNER/NAME:CONFIGURATION`` by split, streamed; training is among them.

    ``hub:FOLDER`` is a folder on this machine that `datasets` knows how to read, also one that it has saved.
    ``train_sft`` is a training split as well (of several, the one for fine-tuning).

    Raises:
        LimpidError: no such name, no `datasets`, no network, no training split; with what to do, under ``key``.
    """
    name, _, configuration = path.removeprefix("hub:").partition(":")
    folder = Path(name).expanduser()
    if not folder.is_dir() and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise LimpidError(
            f"'{path}' is no name on the hub: it is written hub:OWNER/NAME or hub:OWNER/NAME:CONFIGURATION."
        )
    if not folder.is_dir() and not _reachable():
        os.environ["HF_HUB_OFFLINE"] = "1"  # else every request is tried six times; what was fetched before is found
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as err:
        raise LimpidError(
            f"Reading {path} needs the optional library 'datasets': pip install 'limpid[hub]', "
            f"or download the files and give their folder as {key}=."
        ) from err
    try:
        if any((folder / name).is_file() for name in SAVED):
            saved = datasets.load_from_disk(str(folder))
            streams = saved if isinstance(saved, dict) else {"train": saved}
        else:
            where = str(folder) if folder.is_dir() else name
            streams = datasets.load_dataset(where, configuration or None, streaming=True)
    except Exception as err:  # the library raises many kinds of error for one cause: it could not get the data
        reason = (str(err).splitlines() or [type(err).__name__])[0][:160]
        raise LimpidError(
            f"Cannot open {path} ({type(err).__name__}: {reason}). Check the name and the network, or download the "
            f"files elsewhere and give their folder as {key}=."
        ) from err
    found = {split: rows for name, rows in streams.items() if (split := SPLIT_NAMES.get(name.removesuffix("_sft")))}
    if "train" not in found:
        raise LimpidError(f"{path} has no training split (it has: {', '.join(streams)}): choose another data set.")
    return found


def _reachable() -> bool:
    """Whether the hub, or the server that HF_ENDPOINT names, takes a connection; behind a proxy nobody can know."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    port = address.port or (80 if address.scheme == "http" else 443)
    answered: list[bool] = []

    def ask() -> None:
        with suppress(OSError):
            socket.create_connection((address.hostname or "", port), timeout=SECONDS).close()
            answered.append(True)

    asking = Thread(target=ask, daemon=True)  # looking up a name has no time limit of its own
    asking.start()
    asking.join(SECONDS)
    return bool(answered)
