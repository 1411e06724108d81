"""Vocabularies of tiktoken, id for id against tiktoken with its own patterns."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import TEXTS
from tiktoken_ext import openai_public

from limpid.core.errors import LimpidError
from limpid.text.spelling import byte_spelling
from limpid.text.streaming import Utf8Stream
from limpid.text.tiktoken_file import PATTERNS, load_tiktoken
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerSection, train

PROSE = Path(tiktoken.__file__).parent.joinpath("core.py").read_text(encoding="utf-8")
TRAINED = train(TokenizerSection(kind="bpe", vocab_size=900), [*TEXTS, PROSE])
RANKS = {TRAINED.token_bytes(i): i - 5 for i in range(5, 900)}  # without our five control tokens
OPENAI = {"gpt2": "r50k_base", "cl100k": "cl100k_base", "o200k": "o200k_base"}
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("  \n\r\t'sS.ab1九月\u0301/ſ")))


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiktoken") / "own.tiktoken"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in RANKS.items()))
    return path


@pytest.fixture(scope="session", params=PATTERNS)
def pair(request: pytest.FixtureRequest, vocabulary: Path) -> tuple[Tokenizer, tiktoken.Encoding]:
    """Ours, and tiktoken's own with the pattern that tiktoken itself has for this name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: RANKS)
        pattern = getattr(openai_public, OPENAI[request.param])()["pat_str"]
    reference = tiktoken.Encoding("own", pat_str=pattern, mergeable_ranks=RANKS, special_tokens={})
    return load_tiktoken(vocabulary, request.param), reference


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_same_ids_for_any_text(pair: tuple[Tokenizer, tiktoken.Encoding], text: str) -> None:
    ours, reference = pair
    assert ours.encode(text) == reference.encode_ordinary(text)
    assert ours.decode(ours.encode(text)) == text


def test_same_ids_for_prose(pair: tuple[Tokenizer, tiktoken.Encoding]) -> None:
    ours, reference = pair
    for text in (
        PROSE,
        "\n".join(TEXTS),
        "It's 1234567 o'clock; WE'LL see.\n\n\n  Yes\n  ",
        "床前明月光\n疑是地上霜  ",
    ):
        assert ours.encode(text) == reference.encode_ordinary(text)


def test_tokens_control_tokens_and_saving(vocabulary: Path) -> None:
    tokenizer = load_tiktoken(vocabulary, "gpt2")
    assert [tokenizer.token_bytes(rank) for rank in RANKS.values()] == list(RANKS)
    assert tokenizer.vocab_size == len(RANKS) + 5
    assert tokenizer.end_of_text == len(RANKS)  # where GPT-2's own stands
    assert not set(tokenizer.encode("".join(SPECIAL_TOKENS))) & tokenizer.special_ids
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.encode(PROSE) == tokenizer.encode(PROSE)
    stream = Utf8Stream()
    assert "".join(stream.push(again.token_bytes(i)) for i in again.encode("鯨 🙂")) == "鯨 🙂"


def lines(ranks: dict[bytes, int]) -> str:
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())


@pytest.mark.parametrize(
    ("text", "pattern", "message"),
    [
        ("hello world\n", "gpt2", r"own.tiktoken:1 is no line of a tiktoken vocabulary"),
        ("YQ==\n", "gpt2", r"own.tiktoken:1 is no line"),
        (lines({b"a": 0, b"b": 2}), "gpt2", "ranks are not 0 to 1"),
        (lines({b"a": 0, b"b": 1}), "gpt2", "no token for the byte 0x00"),
        ("", "gpt2", "no token for the byte"),
        ("", "cl100", "no split pattern is called 'cl100'. Did you mean 'cl100k'"),
    ],
)
def test_faulty_files(tmp_path: Path, text: str, pattern: str, message: str) -> None:
    (tmp_path / "own.tiktoken").write_text(text)
    with pytest.raises(LimpidError, match=message):
        load_tiktoken(tmp_path / "own.tiktoken", pattern)


def test_spelling_of_bytes_is_the_librarys() -> None:
    from tokenizers import decoders

    every = bytes(range(256))
    assert decoders.ByteLevel().decode([byte_spelling(every[:128])]) == every[:128].decode()
    with pytest.raises(LimpidError, match="cannot be read"):
        load_tiktoken(Path("/nowhere.tiktoken"), "gpt2")
