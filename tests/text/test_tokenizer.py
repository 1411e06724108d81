from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import TEXTS

from limpid.core.errors import LimpidError
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerSection, train

BPE = train(TokenizerSection(kind="bpe", vocab_size=320), TEXTS)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates are no text


@given(ANY_TEXT)
def test_any_text_comes_back(text: str) -> None:
    ids = BPE.encode(text)
    assert BPE.decode(ids) == text
    assert b"".join(BPE.token_bytes(i) for i in ids) == text.encode()
    assert not set(ids) & BPE.special_ids


@given(st.lists(ANY_TEXT, max_size=4))
def test_batch_is_as_one_by_one(texts: list[str]) -> None:
    assert BPE.encode_batch(texts) == [BPE.encode(text) for text in texts]


@pytest.mark.parametrize("kind", ["tokenizer", "char_tokenizer"])
@pytest.mark.parametrize("special", SPECIAL_TOKENS)
def test_typed_control_tokens_are_plain_text(kind: str, special: str, request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(kind)
    typed = f"a{special}b"
    ids = tokenizer.encode(typed)
    assert len(ids) > 3
    assert not set(ids) & tokenizer.special_ids
    if kind == "tokenizer":
        assert tokenizer.decode(ids) == typed
    reread = Tokenizer.from_json(tokenizer.to_json())  # and after saving
    assert reread.encode(typed) == ids


def test_control_tokens_have_ids_of_their_own(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.end_of_text, tokenizer.system, tokenizer.user, tokenizer.assistant, tokenizer.end_of_turn]
    assert len(set(ids)) == 5 == len(tokenizer.special_ids)
    assert [tokenizer.token_text(i) for i in ids] == list(SPECIAL_TOKENS)
    assert tokenizer.decode([ids[0], *tokenizer.encode("cat"), ids[4]]) == "cat"


def test_sizes_and_names(tokenizer: Tokenizer, char_tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == 320
    assert char_tokenizer.vocab_size == len(set("".join(TEXTS))) + 5 + 1  # the characters, control tokens, unknown
    assert max(tokenizer.encode("".join(TEXTS))) < 320
    assert tokenizer.fingerprint == Tokenizer.from_json(tokenizer.to_json()).fingerprint
    assert tokenizer.fingerprint != char_tokenizer.fingerprint


def test_a_part_of_a_character_is_shown_as_bytes(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("鯨")  # not in the texts: three bytes, E9 AF A8
    assert [tokenizer.token_text(i) for i in ids] == ["<0xE9>", "<0xAF>", "<0xA8>"]
    assert tokenizer.decode(ids[:2]) == "\ufffd"


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_text(i) for i in tokenizer.encode("4242")] == ["4", "2", "4", "2"]


def test_characters(char_tokenizer: Tokenizer) -> None:
    text = "The cat 床前 🙂\n"
    ids = char_tokenizer.encode(text)
    assert [char_tokenizer.token_text(i) for i in ids] == list(text)
    assert char_tokenizer.decode(ids) == text
    assert char_tokenizer.decode(char_tokenizer.encode("aɚa")) == "a<unk>a"


@pytest.mark.parametrize(
    ("section", "texts", "message"),
    [
        (TokenizerSection(vocab_size=300), ["", ""], "no text to learn"),
        (TokenizerSection(vocab_size=100), ["abc"], "at least 262"),
        (TokenizerSection(vocab_size=5000), ["a b c"], r"more than this text supports: it gives 26\d"),
        (TokenizerSection(kind="char"), ["aaaa"], "only the character 'a'"),
        (TokenizerSection(kind="char"), [], "no text to learn"),
    ],
)
def test_texts_too_poor(section: TokenizerSection, texts: list[str], message: str) -> None:
    with pytest.raises(LimpidError, match=message):
        train(section, texts)


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="cannot be read"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(LimpidError, match=r"bad.json is not a tokenizer"):
        Tokenizer.load(tmp_path / "bad.json")
