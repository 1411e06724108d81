"""Vocabularies in SentencePiece's manner as llama.cpp keeps them, and its two ways of cutting a text by them.

"llama" (there: SPM) joins neighbouring pieces, the best score first; "t5" (UGM) looks for the likeliest pieces of all.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tokenizers import normalizers

from limpid.core.errors import LimpidError
from limpid.text.chinese import NO_OTHER_CUTS_SO
from limpid.text.tokenizer import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MARK = "▁"
"""What stands for a space (U+2581)."""
UNKNOWN_PENALTY = 10.0
"""How much less likely than the worst token an unknown character is, in llama.cpp as in SentencePiece."""


class Scored(NamedTuple):
    """model: llama.cpp's name of the way of cutting. tokens, types, scores: by id. settings: other keys and values.

    charsmap: the map of characters that a text is normalised by, as SentencePiece compiles it.
    """

    model: str
    tokens: list[str]
    types: list[int]
    scores: list[float]
    settings: dict[str, Any]
    charsmap: bytes = b""


def scored(tokenizer: Tokenizer, table: dict[str, Any]) -> Scored:
    """The vocabulary of a tokenizer whose library form is ``table``: SentencePiece BPE, unigram, or characters.

    Raises:
        LimpidError: it has no form there.
    """
    if tokenizer.cuts_chinese:
        raise LimpidError(NO_OTHER_CUTS_SO)
    model, kind = table["model"], tokenizer.kind
    if model["type"] == "BPE" and model.get("byte_fallback"):
        vocabulary: dict[str, int] = model["vocab"]
        ranks: dict[str, float] = {}
        for rank, merge in enumerate(model["merges"]):
            ranks.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), -float(rank))
        scores = {token: ranks.get(token, -float(len(ranks))) for token in vocabulary}
        name = "llama"
    elif model["type"] == "Unigram" and not tokenizer.byte_level:
        vocabulary = {token: number for number, (token, _) in enumerate(model["vocab"])}
        scores, name = {token: float(score) for token, score in model["vocab"]}, "t5"
    elif kind == "char" and MARK not in model["vocab"]:
        vocabulary = {token.replace(" ", MARK): number for token, number in model["vocab"].items()}
        scores, name = dict.fromkeys(vocabulary, -1.0), "t5"
    else:
        over = " over bytes" if tokenizer.byte_level else ""
        raise LimpidError(
            f"llama.cpp has no form for this tokenizer ({kind}{over}): train with tokenizer.kind=bpe or char, "
            "or export with --to hf."
        )
    size = tokenizer.vocab_size
    tokens, types, listed = [f"[unused{i}]" for i in range(size)], [UNUSED] * size, [0.0] * size
    for token, number in vocabulary.items():
        byte = model.get("byte_fallback") and re.fullmatch("<0x[0-9A-F]{2}>", token)
        tokens[number], listed[number], types[number] = token, scores[token], BYTE if byte else NORMAL
    for added in table["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    settings: dict[str, Any] = {"add_space_prefix": False, "remove_extra_whitespaces": False}
    if tokenizer.unknown is not None:
        types[tokenizer.unknown] = UNKNOWN
        settings["unknown_token_id"] = tokenizer.unknown
    charsmap = b""
    for step in _steps(table["normalizer"], "normalizers"):
        if step["type"] == "Precompiled":
            charsmap = base64.b64decode(step["precompiled_charsmap"])
        elif step["type"] == "Prepend":
            settings["add_space_prefix"] = True
        elif step["type"] == "Replace" and step["pattern"].get("Regex") == " {2,}":
            settings["remove_extra_whitespaces"] = True
    for step in _steps(table["pre_tokenizer"], "pretokenizers"):
        if step["type"] == "Metaspace":
            settings["add_space_prefix"] = step.get("prepend_scheme", "always") != "never"
    return Scored(name, tokens, types, listed, settings, charsmap)


def cut(found: Scored, text: str) -> list[int]:
    """The ids that llama.cpp gives ``text``."""
    if found.charsmap:
        text = normalizers.Precompiled(found.charsmap).normalize_str(text)
    prefix = found.settings.get("add_space_prefix", False)
    if found.model == "llama":
        written = (" " + text if prefix and text else text).replace(" ", MARK)
        return _joined(found, written)
    if found.settings.get("remove_extra_whitespaces", False):
        text = " ".join(part for part in text.split(" ") if part)
    if prefix and text:
        text = " " + text
    return _likeliest(found, text.replace(" ", MARK))


def _joined(found: Scored, text: str) -> list[int]:
    """Neighbours whose joint spelling is a token are joined, the best score first, of equals the leftmost."""
    ids = {token: number for number, token in enumerate(found.tokens)}
    pieces: list[str] = list(text)
    after, before = [*range(1, len(pieces)), -1], [*range(-1, len(pieces) - 1)]
    queue: list[tuple[float, int, int, str]] = []

    def offer(left: int, right: int) -> None:
        if left >= 0 and right >= 0 and (both := pieces[left] + pieces[right]) in ids:
            heapq.heappush(queue, (-found.scores[ids[both]], left, right, both))

    for left, right in itertools.pairwise(range(len(pieces))):
        offer(left, right)
    while queue:
        _, left, right, both = heapq.heappop(queue)
        if not pieces[left] or not pieces[right] or pieces[left] + pieces[right] != both:
            continue  # one of them has been joined to another since
        pieces[left], pieces[right] = both, ""
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        offer(before[left], left)
        offer(left, after[left])
    out: list[int] = []
    for piece in filter(None, pieces):
        out += [ids[piece]] if piece in ids else [ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
    return out


def _likeliest(found: Scored, text: str) -> list[int]:
    """The tokens of the largest summed score (Viterbi); of unknown characters a run is one <unk>."""
    usable = {NORMAL, USER_DEFINED, UNUSED}
    ids = {token: i for i, token in enumerate(found.tokens) if found.types[i] in usable}
    worst = min(s for s, kind in zip(found.scores, found.types, strict=True) if kind == NORMAL) - UNKNOWN_PENALTY
    unknown = found.settings.get("unknown_token_id", -1)
    longest = max(map(len, ids))
    best: list[tuple[float, int, int]] = [(0.0, 0, unknown)] + [(-float("inf"), 0, unknown)] * len(text)
    for begin in range(len(text)):
        for end in range(begin + 1, min(begin + longest, len(text)) + 1):
            token = ids.get(text[begin:end])
            if token is None and end > begin + 1:
                continue
            own = worst if token is None else 0.0 if found.types[token] == USER_DEFINED else found.scores[token]
            if (score := best[begin][0] + own) > best[end][0]:
                best[end] = score, begin, unknown if token is None else token
    out: list[int] = []
    at = len(text)
    while at:
        _, at, token = best[at]
        if not (token == unknown and out and out[-1] == unknown):
            out.append(token)
    return out[::-1]


def _steps(step: dict[str, Any] | None, parts: str) -> Sequence[dict[str, Any]]:
    return [] if step is None else step[parts] if step["type"] == "Sequence" else [step]
