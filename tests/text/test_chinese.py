"""Chinese cut into words: what becomes a token, where it stands in the text, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limpid.checkpoint.hugging_face.tokenizer import write_tokenizer
from limpid.checkpoint.llama_cpp.vocabulary import vocabulary
from limpid.core.errors import LimpidError
from limpid.text.chinese import places, spaced
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

TEXTS = ["我喜欢机器学习，也喜欢 Python 3。", "北京是中国的首都；上海不是。", "机器学习 is machine learning."]
SECTION = TokenizerSection(kind="word", vocab_size=100, chinese="words")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train(SECTION, TEXTS, exact=False)


def test_tokens_are_words_as_jieba_cuts(tokenizer: Tokenizer) -> None:
    def pieces(text: str) -> list[str]:
        return [tokenizer.token_text(i).strip() for i in tokenizer.encode(text)]

    assert pieces("我喜欢机器学习，") == ["我", "喜欢", "机器", "学习", "，"]
    assert pieces("北京首都Python机器 学习3") == ["北京", "首都", "Python", "机器", "学习", "3"]
    assert tokenizer.decode(tokenizer.encode("我喜欢机器学习")) == "我喜欢机器学习"
    assert tokenizer.encode_batch(TEXTS) == [tokenizer.encode(text) for text in TEXTS]
    characters = train(SECTION.model_copy(update={"chinese": "characters"}), TEXTS, exact=False)
    assert len(characters.encode("我喜欢机器学习")) == 7


def test_each_token_knows_its_place_in_the_text(tokenizer: Tokenizer) -> None:
    text = "我 喜欢机器学习，北京 learning."
    ids, spans = tokenizer.encode_spans(text)
    assert ids == tokenizer.encode(text)
    assert [text[begin:end] for begin, end in spans] == ["我", "喜欢", "机器", "学习", "，", "北京", "learning", "."]


@given(st.text(st.sampled_from("机器学习北京我 a1，\n"), max_size=30))
def test_spaces_are_all_that_is_put_in(text: str) -> None:
    found = spaced(text)
    assert found.replace(" ", "") == text.replace(" ", "")
    at = places(text, found)
    assert len(at) == len(found) + 1
    assert at[-1] == len(text)
    assert all(
        character in (" ", text[place]) for character, place in zip(found, at[:-1], strict=True) if place < len(text)
    )


def test_it_is_saved_and_read_again(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.cuts_chinese
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    assert again.with_control_tokens(["<|more|>"]).encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


def test_without_the_library_the_message_says_what_to_install(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(LimpidError, match=r"pip install 'limpid\[chinese\]'"):
        tokenizer.encode("北京")


def test_what_no_file_of_others_can_say_is_not_exported(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(LimpidError, match="no file of other programs can say"):
        write_tokenizer(tmp_path, tokenizer, 64)
    assert not list(tmp_path.iterdir())
    with pytest.raises(LimpidError, match="no file of other programs can say"):
        vocabulary(tokenizer)


def test_other_kinds_have_no_words_to_cut() -> None:
    with pytest.raises(ValidationError, match="chinese=words is for the kind word"):
        TokenizerSection(kind="bpe", chinese="words")
