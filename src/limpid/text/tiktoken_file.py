"""Vocabularies of tiktoken: a line a token, its bytes in base64 and its rank, and a named pattern that splits texts."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError, did_you_mean
from limpid.text.spelling import byte_spelling
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer

_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_ENDING}|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_ENDING}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
"""How GPT-2 and 3, GPT-3.5 and 4, and GPT-4o split a text into the words that tokens never cross."""


def load_tiktoken(path: Path, pattern: str) -> Tokenizer:
    """The vocabulary of a .tiktoken file; our control tokens are added behind its last rank.

    Args:
        pattern: a name of `PATTERNS`.

    Raises:
        LimpidError: an unknown pattern, a line that is no token and rank, a rank given twice or left out, or a byte
            without a token.
    """
    if pattern not in PATTERNS:
        raise LimpidError(f"no split pattern is called '{pattern}'.{did_you_mean(pattern, PATTERNS)}")
    ranks = read_ranks(path)
    backend = Backend(
        models.BPE(
            {byte_spelling(token): rank for token, rank in ranks.items()},
            [(byte_spelling(left), byte_spelling(right)) for left, right in merges(ranks)],
            ignore_merges=True,
        )
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERNS[pattern]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return Tokenizer(backend, where=str(path))


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token -> rank, of every line of a .tiktoken file."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise LimpidError(f"the tokenizer {path} cannot be read: {error}") from None
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            encoded, rank = line.split()
            token = base64.b64decode(encoded, validate=True)
            ranks[token] = int(rank)
        except (ValueError, binascii.Error):
            raise LimpidError(
                f"{path}:{number} is no line of a tiktoken vocabulary (a token in base64, a space, its rank)."
            ) from None
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise LimpidError(f"{path}: the ranks are not 0 to {len(ranks) - 1}, each once; the file is damaged.")
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise LimpidError(f"{path} has no token for the byte 0x{missing[0]:02X}, so it cannot spell every text.")
    return ranks


def merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Pairs that join into a token, lowest rank first.

    tiktoken joins whatever two neighbours give the lowest ranked token; so every way to cut a token in two is a merge.
    """
    found: list[tuple[int, int, int, bytes, bytes]] = []
    for token, rank in ranks.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in ranks and right in ranks:
                found.append((rank, ranks[left], ranks[right], left, right))
    return [(left, right) for *_, left, right in sorted(found)]
