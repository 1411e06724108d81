"""Token ids on disk, memory-mapped: one flat file a split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_file, atomic_write_text
from limpid.data.document import Document
from limpid.text.bulk import bulk_encoder
from limpid.text.tokenizer import Tokenizer

GROUP_CHARACTERS, GROUP_PARTS = 1 << 21, 256
"""What is encoded at a time: until so many characters or parts of documents are together."""


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

    Ids go to disk as they are made, so that neither the text nor its ids need fit in memory. The .json is written last,
    so a store that was cut short is never opened.
    """
    wide = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    end = np.array([tokenizer.end_of_text], dtype=wide).tobytes()
    n_tokens = n_bytes = n_documents = 0
    encode = bulk_encoder(tokenizer)
    with atomic_file(path) as file:
        for group in _grouped(_parts(documents, tokenizer)):
            encoded = encode([text for text, _ in group])
            for (text, last), tokens in zip(group, encoded, strict=True):
                ids = np.asarray(tokens, dtype=wide)
                file.write(ids.tobytes() + (end if last else b""))
                n_tokens += len(ids) + last
                n_bytes += len(text.encode())
                n_documents += last
    about = {
        "dtype": wide.__name__,
        "tokens": n_tokens,
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


def _parts(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[tuple[str, bool]]:
    """The documents in parts no longer than need be, each with whether its document ends there."""
    for document in documents:
        parts = tokenizer.parts(document.text)
        part = next(parts)
        for following in parts:
            yield part, False
            part = following
        yield part, True


def _grouped(parts: Iterable[tuple[str, bool]]) -> Iterator[list[tuple[str, bool]]]:
    """Enough parts together to keep the cores busy."""
    group: list[tuple[str, bool]] = []
    held = 0
    for part in parts:
        group.append(part)
        held += len(part[0])
        if held >= GROUP_CHARACTERS or len(group) == GROUP_PARTS:
            yield group
            group, held = [], 0
    if group:
        yield group
