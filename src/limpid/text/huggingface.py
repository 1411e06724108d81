"""Tokenizers of Hugging Face folders: tokenizer.json, the older vocab.json and merges.txt, or a SentencePiece model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.text.sentencepiece_model import load_sentencepiece
from limpid.text.tokenizer import Tokenizer

FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")


def load_huggingface(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder, ids unchanged: GPT-2, Llama, Mistral, Qwen, BERT and their like.

    The end of a text is what tokenizer_config.json (or special_tokens_map.json, config.json) calls eos_token, in BERT's
    family sep_token. `begin_of_text` is set where the tokenizer itself begins a text with a control token (Llama).

    Raises:
        LimpidError: no tokenizer in the folder, or none that names an end of text.
    """
    present = [name for name in FILES if (folder / name).is_file()]
    if not present:
        raise LimpidError(f"{folder} holds no tokenizer (looked for {', '.join(FILES)}).")
    if present[0].endswith(".model"):
        return load_sentencepiece(folder / present[0])
    backend = _fast(folder / "tokenizer.json") if present[0] == "tokenizer.json" else _vocab_and_merges(folder)
    end = _mark(folder, backend, "eos_token") or _mark(folder, backend, "sep_token")
    if end is None:
        raise LimpidError(f"{folder} does not say which token ends a text: name eos_token in tokenizer_config.json.")
    begin = backend.encode("").tokens[:1]  # what the tokenizer puts before any text
    return Tokenizer(backend, end_of_text=end, begin_of_text=begin[0] if begin and begin[0] != end else None,
                     where=str(folder / present[0]))  # fmt: skip


def _fast(path: Path) -> Backend:
    try:
        return Backend.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception
        raise LimpidError(f"{path} is not a tokenizer: {error}") from None


def _vocab_and_merges(folder: Path) -> Backend:
    """The byte-level BPE of GPT-2, as it was first published."""
    try:
        model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the library raises bare Exception
        raise LimpidError(f"{folder} holds no byte-level BPE: vocab.json and merges.txt: {error}") from None
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    if (end := _mark(folder, backend, "eos_token")) is not None:
        backend.add_special_tokens([AddedToken(end, special=True, normalized=False)])
    return backend


def _mark(folder: Path, backend: Backend, name: str) -> str | None:
    """The spelling of a named token, if the folder's files name one that the vocabulary has."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        value = _table(folder / file).get(name)
        token = value.get("content") if isinstance(value, dict) else value
        if isinstance(token, str) and backend.token_to_id(token) is not None:
            return token
    token_id = _table(folder / "config.json").get(name + "_id")
    if isinstance(token_id, list):
        token_id = token_id[0] if token_id else None
    return backend.id_to_token(token_id) if isinstance(token_id, int) else None


def _table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LimpidError(f"{path} cannot be read: {error}") from None
    return found if isinstance(found, dict) else {}
