"""A model as two files: the parameters, and one program that runs them with NumPy alone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file

from limpid.core.errors import LimpidError
from limpid.models.model import Model
from limpid.text.spelling import byte_spelling
from limpid.text.tokenizer import Tokenizer
from limpid.text.vocabulary import PIECES

PROGRAM = Path(__file__).with_name("run.py")
FAMILIES = ("llama", "gpt")
"""What the program can run."""


def write_two_files(folder: Path, model: Model, tokenizer: Tokenizer, dtype: torch.dtype) -> None:
    """Write model.safetensors, with config and vocabulary in its header, and run.py.

    Raises:
        LimpidError: a family or a tokenizer that run.py does not know.
    """
    if model.config.family not in FAMILIES:
        raise LimpidError(f"run.py runs models of the families {', '.join(FAMILIES)}; this is {model.config.family}.")
    notes = {"config": json.dumps(config_notes(model.config)), "tokenizer": json.dumps(tokenizer_notes(tokenizer))}
    tensors = {name: p.detach().to(dtype).contiguous() for name, p in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", **notes})
    (folder / "run.py").write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")


def config_notes(config: Any) -> dict[str, Any]:
    """What run.py has to know of a config: all its keys, and the two that a gpt's follow from others."""
    if getattr(config, "rope_scaling", None) is not None:
        raise LimpidError("run.py turns rotary positions unscaled; this model has model.rope_scaling.")
    notes: dict[str, Any] = config.model_dump(mode="json")
    return notes | {"n_kv_head": config.n_kv_head, "head_dim": config.head_dim}


def tokenizer_notes(tokenizer: Tokenizer) -> dict[str, Any]:
    """What run.py has to know of a tokenizer.

    Raises:
        LimpidError: it is neither byte-level BPE nor one token a character.
    """
    table = json.loads(tokenizer.library_json())
    model, added = table["model"], {token["content"]: token for token in table["added_tokens"]}
    characters = tokenizer.kind == "char"
    if not characters and not (model["type"] == "BPE" and tokenizer.byte_level):
        raise LimpidError(f"run.py reads byte-level BPE and character vocabularies; this one is {tokenizer.kind}.")
    if table["normalizer"] not in (None, {"type": "NFC"}):
        raise LimpidError("run.py knows no tokenizer that changes text first, but by NFC.")
    tokens = [""] * tokenizer.vocab_size
    for token, number in model["vocab"].items():
        tokens[number] = token
    for token, about in added.items():  # spelt as they are, where the others are spelt in characters for bytes
        tokens[about["id"]] = token if about["special"] or characters else byte_spelling(token.encode())
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model.get("merges", []))
    return {
        "kind": "characters" if characters else "bytes",
        "tokens": tokens,
        "special": {token: about["id"] for token, about in added.items() if about["special"]},
        "end_of_text": tokenizer.end_of_text,
        "opening": tokenizer.opening,
        "stops": sorted(tokenizer.text_stops | (tokenizer.chat_stops if tokenizer.can_chat else frozenset())),
        "unknown": tokenizer.unknown or 0,
        "merges": [list(pair) for pair in pairs],
        "whole_first": model.get("ignore_merges", False),
        "normal_form": (table["normalizer"] or {}).get("type"),
        "patterns": [] if characters else split_patterns(table["pre_tokenizer"]),
    }


def split_patterns(rule: dict[str, Any] | None) -> list[str]:
    """The regular expressions with which a pre-tokenizer cuts a text, one after the other.

    Raises:
        LimpidError: it cuts in another way.
    """
    match rule:
        case None:
            return []
        case {"type": "Sequence", "pretokenizers": steps}:
            return [pattern for step in steps for pattern in split_patterns(step)]
        case {"type": "ByteLevel", "use_regex": by_regex, "add_prefix_space": False}:
            return [PIECES["gpt2"]] if by_regex else []  # the library has it built in
        case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
            return [pattern]
    raise LimpidError(f"this tokenizer cuts text in a way that is not written here: {rule}.")


def load_program(path: Path = PROGRAM) -> ModuleType:
    """run.py as a module: the slow, obvious twin of the models it knows."""
    spec = importlib.util.spec_from_file_location("limpid_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
