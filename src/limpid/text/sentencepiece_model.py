"""SentencePiece models (Kudo & Richardson 2018), read from their protobuf file without the library."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer
from limpid.text.vocabulary import END_OF_TEXT

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNIGRAM, BPE = 1, 2
MARK = "▁"
"""What stands for a space (U+2581)."""


class Piece(NamedTuple):
    """A token, its score (a log probability, or for BPE minus its rank) and which kind of token it is."""

    text: str
    score: float
    kind: int


class Model(NamedTuple):
    """What of a SentencePiece model decides how a text is cut. charsmap: its normalisation, precompiled."""

    pieces: list[Piece]
    algorithm: int
    byte_fallback: bool
    charsmap: bytes
    dummy_prefix: bool
    squeeze_spaces: bool


def load_sentencepiece(path: Path) -> Tokenizer:
    """The vocabulary of a .model file (unigram or BPE); control tokens of ours that it lacks are added at its end.

    Ids are those of the SentencePiece library, but for a ▁ that is typed with a combining mark behind it.

    Raises:
        LimpidError: no SentencePiece model, or one of another kind (word, char) or with settings we do not follow.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LimpidError(f"the tokenizer {path} cannot be read: {error}") from None
    model = read_model(raw, str(path))
    backend = Backend(_unigram(model) if model.algorithm == UNIGRAM else _bpe(model))
    backend.normalizer = _normalizer(model)
    backend.pre_tokenizer = _splits(model)
    marks = [piece.text for piece in model.pieces if piece.kind in (CONTROL, UNKNOWN)]
    end = "</s>" if "</s>" in marks else END_OF_TEXT
    ours = [token for token in SPECIAL_TOKENS if token != END_OF_TEXT or end == END_OF_TEXT]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in [*marks, *ours]])
    steps: list[Any] = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if not model.byte_fallback:
        del steps[1]
    if model.dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    backend.decoder = decoders.Sequence(steps)
    return Tokenizer(backend, end_of_text=end, begin_of_text="<s>" if "<s>" in marks else None, where=str(path))


def read_model(raw: bytes, where: str) -> Model:
    """The fields of a ModelProto (sentencepiece_model.proto) that we use."""
    pieces: list[Piece] = []
    trainer: dict[int, Any] = {}
    rules: dict[int, Any] = {}
    try:
        for field, value in _fields(raw):
            if field == 1:
                piece = dict(_fields(value))
                (score,) = struct.unpack("<f", piece.get(2, bytes(4)))
                pieces.append(Piece(piece[1].decode("utf-8"), score, piece.get(3, NORMAL)))
            elif field == 2:
                trainer = dict(_fields(value))
            elif field == 3:
                rules = dict(_fields(value))
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error):
        pieces = []
    if not pieces or sum(piece.kind == UNKNOWN for piece in pieces) != 1:
        raise LimpidError(f"{where} is not a SentencePiece model.")
    algorithm = trainer.get(3, UNIGRAM)
    if algorithm not in (UNIGRAM, BPE):
        raise LimpidError(f"{where} is a SentencePiece model of words or characters; unigram and BPE can be read.")
    if trainer.get(24, 0) or not rules.get(5, 1):
        raise LimpidError(f"{where} keeps spaces elsewhere than before words, which limpid does not follow.")
    return Model(
        pieces, algorithm, bool(trainer.get(35, 0)), rules.get(2, b""), bool(rules.get(3, 1)), bool(rules.get(4, 1))
    )


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protobuf message: whole numbers as int, the rest as bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(raw, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + length > len(raw):
            raise ValueError("cut short")
        yield key >> 3, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _unigram(model: Model) -> models.Model:
    unknown = next(i for i, piece in enumerate(model.pieces) if piece.kind == UNKNOWN)
    # What texts never hold must not lower the worst score, from which the unknown token's is derived.
    worst = min(piece.score for piece in model.pieces if piece.kind == NORMAL)
    found = [(p.text, p.score if p.kind in (NORMAL, USER_DEFINED) else worst) for p in model.pieces]
    return models.Unigram(found, unknown, model.byte_fallback)


def _bpe(model: Model) -> models.Model:
    """SentencePiece joins whatever two neighbours give the piece of the best score, the leftmost first."""
    score = {p.text: p.score for p in model.pieces if p.kind in (NORMAL, USER_DEFINED)}
    found = []
    for text, value in score.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in score and right in score:
                found.append((-value, -score[left], -score[right], left, right))
    unknown = next(p.text for p in model.pieces if p.kind == UNKNOWN)
    return models.BPE(
        {piece.text: i for i, piece in enumerate(model.pieces)},
        [(left, right) for *_, left, right in sorted(found)],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
        ignore_merges=any(piece.kind == USER_DEFINED for piece in model.pieces),
    )


def _splits(model: Model) -> pre_tokenizers.PreTokenizer:
    """Symbols of the user's stand alone; a typed spelling of what is no text is torn after its first character.

    Where that character is unknown, one <unk> more than SentencePiece gives may stand there.
    """
    own = sorted((p.text for p in model.pieces if p.kind == USER_DEFINED), key=len, reverse=True)
    torn = [p.text for p in model.pieces if p.kind not in (NORMAL, USER_DEFINED)]
    pattern = "|".join(f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in torn if len(text) > 1)
    steps = [pre_tokenizers.Split(Regex("|".join(map(re.escape, own))), behavior="isolated")] if own else []
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.Split(Regex(pattern), behavior="merged_with_previous")])


def _normalizer(model: Model) -> normalizers.Normalizer:
    """The model's own character map, then its way with spaces."""
    steps: list[Any] = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    if model.squeeze_spaces:
        steps += [normalizers.Replace(Regex(r"\A +"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if model.dummy_prefix:
        steps.append(normalizers.Prepend(MARK))
    steps.append(normalizers.Replace(" ", MARK))
    if model.squeeze_spaces:
        steps.append(normalizers.Replace(Regex(rf"{MARK}+\z"), ""))  # a typed ▁ as well
    return normalizers.Sequence(steps)
