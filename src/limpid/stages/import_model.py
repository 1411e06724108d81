"""Importing: a model in Hugging Face's form becomes a run of limpid's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from limpid.checkpoint import store
from limpid.checkpoint.hugging_face.folder import refuse_pickles
from limpid.checkpoint.hugging_face.hub import fetch, is_hub_id
from limpid.checkpoint.hugging_face.model import read_model
from limpid.checkpoint.hugging_face.peft import CONFIG as ADAPTER
from limpid.checkpoint.hugging_face.peft import base_of, is_adapter_folder, read_adapter
from limpid.checkpoint.hugging_face.tokenizer import read_tokenizer
from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text
from limpid.models.count import parameters
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer


class Imported(NamedTuple):
    """What came in. architecture: theirs. own_template: whether a chat template came with it."""

    architecture: str
    family: str
    parameters: int
    vocab_size: int
    context: int
    own_template: bool


def import_model(
    source: str,
    out: Path,
    *,
    revision: str | None = None,
    base: str | None = None,
    ignored_fields: tuple[str, ...] = (),
) -> Imported:
    """Read the model at ``source``, a folder or a hub id, and write it to ``out`` as the first checkpoint of a run.

    base: where ``source`` holds a LoRA adapter of peft's, the model it is for: a run, a folder or a hub id; None: the
    one it names.

    Raises:
        LimpidError: a model that limpid does not build, or whose files are not whole; nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LimpidError(f"{out} is there already; name a new folder.")
    folder = _folder(source, revision)
    if not any(folder.glob("*.safetensors")):
        refuse_pickles(folder)  # before anything else is found wanting: this is what the user must know
    if is_adapter_folder(folder):
        model, tokenizer, own_template, architecture = _adapted(folder, base, ignored_fields)
    elif base is not None:
        raise LimpidError(f"{source} is a whole model; --base is for a LoRA adapter ({ADAPTER} is not there).")
    else:
        model, tokenizer, own_template, architecture = _whole(folder, ignored_fields)
    state = {"stage": "import", "step": 0, "source": source}
    store.write(store.checkpoint_path(out, 0), model, tokenizer, state, World(0, 1, torch.device("cpu")))
    imported = Imported(
        architecture=architecture,
        family=model.config.family,
        parameters=parameters(model),
        vocab_size=model.config.vocab_size,
        context=model.config.context,
        own_template=own_template,
    )
    atomic_write_text(out / "summary.json", json.dumps(state | {"steps": 0} | imported._asdict(), indent=1))
    return imported


class _Read(NamedTuple):
    """What is in a folder. own_template: whether a chat template came with it."""

    model: Any
    tokenizer: Tokenizer
    own_template: bool
    architecture: str


def _whole(folder: Path, ignored_fields: tuple[str, ...]) -> _Read:
    tokenizer, own_template = read_tokenizer(folder)
    model = read_model(folder, vocab_size=tokenizer.vocab_size, ignored_fields=ignored_fields)
    table = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return _Read(model, tokenizer, own_template, (table.get("architectures") or [table["model_type"]])[0])


def _adapted(folder: Path, base: str | None, ignored_fields: tuple[str, ...]) -> _Read:
    """The adapter in ``folder`` on its base, which stays apart from it."""
    wanted = base or base_of(folder)
    if wanted is None:
        raise LimpidError(f"{folder} does not say which model its adapter is for: name it with --base.")
    place = Path(wanted).expanduser()
    if place.is_dir() and not (place / "config.json").is_file():
        checkpoint = store.read(place)
        found = _Read(checkpoint.model, checkpoint.tokenizer, True, checkpoint.config.family)
    else:
        found = _whole(_folder(wanted, None), ignored_fields)
    read_adapter(folder, found.model)
    return found._replace(architecture=f"a LoRA adapter of rank {found.model.lora.rank} on {found.architecture}")


def _folder(source: str, revision: str | None) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        refuse_pickles(path)
        raise LimpidError(f"{path} is a file; name the folder that holds config.json, the tokenizer and the weights.")
    if not is_hub_id(source):
        raise LimpidError(f"there is no folder at {source}, and it has not the form OWNER/NAME of a hub id.")
    return fetch(source, revision)
