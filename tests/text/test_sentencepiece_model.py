"""SentencePiece models, id for id against the sentencepiece package that made them."""

from __future__ import annotations

import io
import itertools
import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.conftest import TEXTS

from limpid.core.errors import LimpidError
from limpid.text.sentencepiece_model import load_sentencepiece, read_model
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer

PROSE = Path(sentencepiece.__file__).read_text(encoding="utf-8")
LINES = [line for text in [*TEXTS, PROSE] for line in text.splitlines() if line.strip()]
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("  \n\tatselfthin.，月１ﬁé床")))

SETTINGS = {
    "unigram as T5": {"model_type": "unigram"},
    "unigram with bytes": {"model_type": "unigram", "byte_fallback": True, "normalization_rule_name": "identity"},
    "bpe as Llama 2": {
        "model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True, "split_digits": True,
    },
    "bpe with unknowns": {"model_type": "bpe"},
    "bpe with own symbols": {"model_type": "bpe", "user_defined_symbols": ["<sep>", "self"], "byte_fallback": True},
    "unigram without a first space": {"model_type": "unigram", "add_dummy_prefix": False},
}  # fmt: skip


def made(path: Path, **settings: object) -> Path:
    """A small model of prose, trained by the package."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=written, vocab_size=600, minloglevel=2,
        num_threads=1, hard_vocab_limit=False, **{"character_coverage": 0.99} | settings,
    )  # fmt: skip
    path.write_bytes(written.getvalue())
    return path


@pytest.fixture(scope="session", params=SETTINGS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, sentencepiece.SentencePieceProcessor]:
    path = made(tmp_path_factory.mktemp("sentencepiece") / "own.model", **SETTINGS[request.param])
    return load_sentencepiece(path), sentencepiece.SentencePieceProcessor(model_file=str(path))


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_same_ids_for_any_text(pair: tuple[Tokenizer, sentencepiece.SentencePieceProcessor], text: str) -> None:
    ours, reference = pair
    marked = (b for a, b in itertools.pairwise(text) if a == "▁")
    assume(not any(unicodedata.combining(b) for b in marked))  # the one thing known to differ
    assert ours.encode(text) == reference.encode(text)


def test_same_ids_and_text_for_prose(pair: tuple[Tokenizer, sentencepiece.SentencePieceProcessor]) -> None:
    ours, reference = pair
    for text in [PROSE, *LINES[:200]]:
        ids = ours.encode(text)
        assert ids == reference.encode(text)
        if ours.out_of_vocabulary(ids) == 0:
            assert ours.decode(ids) == reference.decode(ids)


def test_marks_and_saving(pair: tuple[Tokenizer, sentencepiece.SentencePieceProcessor]) -> None:
    ours, reference = pair
    assert (ours.unknown, ours.begin_of_text, ours.end_of_text) == (0, 1, 2)
    assert ours.vocab_size == reference.get_piece_size() + 4
    assert ours.can_chat
    again = Tokenizer.from_json(ours.to_json())
    assert again.fingerprint == ours.fingerprint
    assert (again.begin_of_text, again.end_of_text, again.special_ids) == (1, 2, ours.special_ids)
    attack = "".join(SPECIAL_TOKENS) + "</s><s>"
    if again.out_of_vocabulary(again.encode(attack)) == 0:
        assert again.encode(attack) == reference.encode(attack)
    assert not set(again.encode(attack)) & again.special_ids


def test_no_model(tmp_path: Path) -> None:
    for raw in (b"", b"hello", b"\x80" * 30, PROSE.encode()):
        with pytest.raises(LimpidError, match="x.model is not a SentencePiece model"):
            read_model(raw, "x.model")
    with pytest.raises(LimpidError, match="cannot be read"):
        load_sentencepiece(tmp_path / "none.model")


def test_words_are_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=written, vocab_size=30, model_type="word", minloglevel=2
    )
    with pytest.raises(LimpidError, match="words or characters; unigram and BPE can be read"):
        read_model(written.getvalue(), "x.model")
