from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpid.text.streaming import StopStrings, Utf8Stream
from limpid.text.tokenizer import Tokenizer

FEW = st.text("ab ", max_size=12)  # few characters, so that stop strings do occur


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 5))
def test_characters_are_released_whole_and_as_soon_as_they_are(text: str, size: int) -> None:
    raw, stream, out = text.encode(), Utf8Stream(), ""
    for start in range(0, len(raw), size):
        out += stream.push(raw[start : start + size])
        assert "\ufffd" not in out or "\ufffd" in text
        # What can be known by now: the characters whose last byte has come.
        assert out == raw[: start + size].decode("utf-8", "ignore")
    assert out + stream.flush() == text


@pytest.mark.parametrize("text", ["鯨が跳ねる", "👩🏽‍🚀", "床前明月光"])
def test_chinese_and_emoji_split_over_tokens(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    stream = Utf8Stream()
    released = [stream.push(tokenizer.token_bytes(i)) for i in ids]
    assert "" in released  # some tokens are only a part of a character
    assert "".join(released) == text
    assert stream.flush() == ""


def test_a_text_that_ends_inside_a_character() -> None:
    stream = Utf8Stream()
    assert stream.push("月".encode()[:2]) == ""
    assert stream.flush() == "\ufffd"


def until_stop(text: str, stops: list[str]) -> str:
    """The plain way: grow the text by a character until it ends in a stop string; of several the longest."""
    for end in range(len(text) + 1):
        found = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(FEW, st.lists(st.text("ab ", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 100)))
def test_releases_are_the_text_up_to_the_stop(text: str, stops: list[str], cuts: list[int]) -> None:
    watch = StopStrings(stops)
    out = "".join(watch.push(piece) for piece in pieces(text, cuts))
    out += watch.flush()
    expected = until_stop(text, stops)
    assert out == expected
    assert (watch.stopped is not None) == (expected != text)


def test_a_stop_string_split_over_pieces() -> None:
    watch = StopStrings(["\n\nUser:"])
    assert [watch.push(piece) for piece in ["Hello\n", "\nUs", "ual.\n\nUse", "r", ": more"]] == [
        "Hello",
        "",
        "\n\nUsual.",
        "",
        "",
    ]
    assert watch.stopped == "\n\nUser:"
    assert watch.flush() == ""


def test_nothing_is_held_back_without_need() -> None:
    watch = StopStrings(["END"])
    assert watch.push("The E") == "The "
    assert watch.push("A") == "EA"
    assert StopStrings([]).push("anything") == "anything"
    assert StopStrings([""]).push("anything") == "anything"
