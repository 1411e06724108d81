"""A path to the tokenizer that lies there, whatever kind of file or folder it is."""

from __future__ import annotations

from pathlib import Path

from limpid.core.errors import LimpidError
from limpid.text.huggingface import load_huggingface
from limpid.text.sentencepiece_model import load_sentencepiece
from limpid.text.tiktoken_file import PATTERNS, load_tiktoken
from limpid.text.tokenizer import Tokenizer


def open_tokenizer(path: Path, pattern: str | None = None) -> Tokenizer:
    """The tokenizer of a run, a checkpoint, a Hugging Face folder, or a tokenizer.json, .tiktoken or .model file.

    pattern: how a .tiktoken vocabulary splits texts, a name of `PATTERNS`; such files do not say.

    Raises:
        LimpidError: nothing there, or no tokenizer.
    """
    if not path.exists():
        raise LimpidError(f"there is no tokenizer at {path}: give a run, a folder or a file.")
    if path.is_dir():
        if any((path / name).is_file() for name in ("tokenizer_config.json", "special_tokens_map.json")):
            return load_huggingface(path)
        places = [path / "tokenizer.json", path / "tokenizer" / "tokenizer.json"]
        places += sorted(path.glob("checkpoints/step-*/tokenizer.json"), reverse=True)
        places += sorted(path.glob("*/checkpoints/step-*/tokenizer.json"), reverse=True)
        found = next((place for place in places if place.is_file()), None)
        return load_huggingface(path) if found is None else Tokenizer.load(found)
    if path.suffix == ".tiktoken":
        if pattern is None:
            raise LimpidError(f"{path} does not say how texts are split: add --pattern, one of {', '.join(PATTERNS)}.")
        return load_tiktoken(path, pattern)
    if path.suffix in (".model", ".spm"):
        return load_sentencepiece(path)
    if path.name == "tokenizer.json" and (path.parent / "tokenizer_config.json").is_file():
        return load_huggingface(path.parent)
    return Tokenizer.load(path)
