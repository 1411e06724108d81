"""Token ids on disk, memory-mapped: one flat file a split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_bytes, atomic_write_text
from limpid.data.document import Document
from limpid.text.tokenizer import Tokenizer


class TokenStore(NamedTuple):
    """The ids of a corpus in order, each document closed by the end-of-text token.

    ids: (N,) uint16 or uint32, mapped from the file. bytes: UTF-8 length of the text, for bits per byte.
    documents: how many there are. fingerprint: of the tokenizer that made the ids.
    """

    ids: npt.NDArray[np.unsignedinteger]
    bytes: int
    documents: int
    fingerprint: str


def write(path: Path, tokenizer: Tokenizer, documents: Iterable[Document]) -> TokenStore:
    """Encode documents into ``path`` (.bin, with a .json beside it) and open the result.

    The .json is written last, so a store that was cut short is never opened.
    """
    wide = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    parts: list[npt.NDArray[np.unsignedinteger]] = []
    n_bytes = n_documents = 0
    for group in _grouped(documents, 256):
        for document, tokens in zip(group, tokenizer.encode_batch([d.text for d in group]), strict=True):
            parts.append(np.array([*tokens, tokenizer.end_of_text], dtype=wide))
            n_bytes += len(document.text.encode())
            n_documents += 1
    ids: npt.NDArray[np.unsignedinteger] = np.concatenate(parts) if parts else np.zeros(0, dtype=wide)
    atomic_write_bytes(path, ids.tobytes())
    about = {
        "dtype": wide.__name__,
        "tokens": len(ids),
        "bytes": n_bytes,
        "documents": n_documents,
        "tokenizer": tokenizer.fingerprint,
    }
    atomic_write_text(path.with_suffix(".json"), json.dumps(about, indent=1))
    return open_store(path, tokenizer)


def open_store(path: Path, tokenizer: Tokenizer) -> TokenStore:
    """Map a store made earlier.

    Raises:
        LimpidError: it is missing or cut short, or was made with another tokenizer.
    """
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise LimpidError(f"the token store {path} cannot be read: {error}") from None
    if about["tokenizer"] != tokenizer.fingerprint:
        raise LimpidError(f"the token store {path} was made with another tokenizer; delete it to have it made again.")
    wide = np.dtype(about["dtype"])
    if size != about["tokens"] * wide.itemsize:
        raise LimpidError(f"the token store {path} is damaged ({size} bytes); delete it to have it made again.")
    ids = np.memmap(path, dtype=wide, mode="r") if size else np.zeros(0, dtype=wide)
    return TokenStore(ids, about["bytes"], about["documents"], about["tokenizer"])


def exists(path: Path, tokenizer: Tokenizer) -> bool:
    """Whether a whole store of this tokenizer lies at ``path``."""
    try:
        open_store(path, tokenizer)
    except LimpidError:
        return False
    return True


def _grouped(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    iterator = iter(documents)
    while group := list(islice(iterator, size)):
        yield group
