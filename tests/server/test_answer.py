from __future__ import annotations

import asyncio
import random

import pytest
from tests.server import loops

from limpid.server.answer import Answer, Left, Piece, Reply, Speech
from limpid.server.errors import ApiError
from limpid.text.tokenizer import Tokenizer

TEXT = "The cat 🙂 sat 床前明月光, naïve. 12 + 30 = 42 and so on"


def speak(
    tokenizer: Tokenizer, ids: list[int], *, stops: tuple[str, ...] = (), finish: str = "length", wants: bool = True
) -> list[Piece]:
    speech = Speech(
        tokenizer, 0, previous=tokenizer.end_of_text, stop_ids=tokenizer.text_stops, stops=stops, wants_tokens=wants
    )
    pieces: list[Piece] = []
    for place, token in enumerate(ids):
        last = place == len(ids) - 1
        piece = speech.push(token, -1.0, [], finish if last else None)  # type: ignore[arg-type]
        if piece is not None:
            pieces.append(piece)
            if piece.finish:
                break
    return pieces


def test_pieces_join_to_the_text_and_so_do_tokens_and_bytes(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    pieces = speak(tokenizer, ids)
    assert "".join(piece.text for piece in pieces) == TEXT
    tokens = [token for piece in pieces for token in piece.tokens]
    assert [token.token_id for token in tokens] == ids
    assert "".join(token.text for token in tokens) == TEXT
    assert b"".join(token.raw for token in tokens) == TEXT.encode()
    assert [piece.finish for piece in pieces] == [None] * (len(pieces) - 1) + ["length"]
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert len(pieces) > 20


def test_nobody_looks_at_tokens(tokenizer: Tokenizer) -> None:
    pieces = speak(tokenizer, tokenizer.encode(TEXT), wants=False)
    assert not any(piece.tokens for piece in pieces)
    assert all(piece.text or piece.finish for piece in pieces)


def test_the_token_that_ends_an_answer_is_no_text_and_not_shown(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("ab"), tokenizer.end_of_text]
    pieces = speak(tokenizer, ids, finish="stop")
    assert "".join(piece.text for piece in pieces) == "ab"
    assert [token.token_id for piece in pieces for token in piece.tokens] == ids[:-1]
    assert pieces[-1].finish == "stop"


@pytest.mark.parametrize("seed", range(30))
def test_stop_strings_wherever_they_lie(tokenizer: Tokenizer, seed: int) -> None:
    draw = random.Random(seed)
    start = draw.randrange(len(TEXT) - 4)
    stop = TEXT[start : start + draw.randint(1, 6)]
    pieces = speak(tokenizer, tokenizer.encode(TEXT), stops=("never", stop))
    text = "".join(piece.text for piece in pieces)
    assert text == TEXT[: TEXT.index(stop)]
    assert pieces[-1].finish == ("stop" if stop in TEXT else "length")
    shown = "".join(token.text for piece in pieces for token in piece.tokens)
    assert shown.startswith(text)  # the last token may go on into the stop string
    assert len(shown) - len(text) <= 8


def test_what_was_held_back_for_a_stop_string_comes_with_its_tokens(tokenizer: Tokenizer) -> None:
    pieces = speak(tokenizer, tokenizer.encode("aaaa"), stops=("aaaab",))
    assert [(piece.text, [token.text for token in piece.tokens]) for piece in pieces] == [("aaaa", ["a"] * 4)]


def test_a_character_that_never_becomes_whole(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.encode("床")[0]]
    (piece,) = speak(tokenizer, ids)
    assert (piece.text, piece.tokens[0].raw) == ("\ufffd", tokenizer.token_bytes(ids[0]))


# ------------------------------------------------------------------ replies


def say(answer: Answer, piece: Piece) -> bool:
    """As a runner does, on the event loop itself; whether the reply had to be stirred."""
    awaited = answer.put(piece)
    if awaited:
        answer.stir()
    return awaited


def test_a_reply_gathers_pieces_until_all_answers_are_over() -> None:
    async def talk() -> list[list[Piece]]:
        answers = [Answer(0, 3), Answer(1, 3)]
        reply = Reply(answers, lambda _: None)
        loop = asyncio.get_running_loop()
        loop.call_soon(say, answers[0], Piece(0, "a", []))
        loop.call_soon(say, answers[1], Piece(1, "b", [], "stop"))
        loop.call_later(0.01, say, answers[0], Piece(0, "c", [], "length"))
        return [batch async for batch in reply.batches()]

    assert loops.run(talk()) == [[Piece(0, "a", []), Piece(1, "b", [], "stop")], [Piece(0, "c", [], "length")]]


def test_a_reply_that_pauses_is_stirred_for_the_first_piece_and_the_last() -> None:
    stirred: list[bool] = []

    async def talk() -> list[str]:
        answer = Answer(0, 3)
        reply = Reply([answer], lambda _: None, pause=60.0)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: stirred.append(say(answer, Piece(0, "a", []))))
        heard = []
        async for batch in reply.batches():
            heard.append("".join(piece.text for piece in batch))
            if len(heard) == 1:
                for piece in (Piece(0, "b", []), Piece(0, "c", []), Piece(0, "d", [], "length")):
                    loop.call_soon(lambda piece=piece: stirred.append(say(answer, piece)))
        return heard

    assert loops.run(asyncio.wait_for(talk(), 30)) == ["a", "bcd"]
    assert stirred == [True, False, False, True]


def test_after_a_pause_without_a_word_the_next_one_is_heard_at_once() -> None:
    async def talk() -> None:
        answer = Answer(0, 3)
        reply = Reply([answer], lambda _: None, pause=0.01)
        say(answer, Piece(0, "a", []))
        batches = reply.batches()
        await anext(batches)
        asyncio.get_running_loop().call_later(0.1, say, answer, Piece(0, "b", []))
        assert await anext(batches) == [Piece(0, "b", [])]
        assert say(answer, Piece(0, "c", [], "stop"))
        assert await anext(batches) == [Piece(0, "c", [], "stop")]

    loops.run(asyncio.wait_for(talk(), 30))


def test_who_leaves_cancels_what_is_not_over() -> None:
    cancelled: list[Answer] = []

    async def talk() -> None:
        answers = [Answer(0, 3), Answer(1, 3)]
        answers[0].over = True
        reply = Reply(answers, cancelled.append)
        asyncio.get_running_loop().call_later(0.01, reply.leave)
        with pytest.raises(Left):
            async for _ in reply.batches():
                pass
        assert cancelled == [answers[1]]

    loops.run(talk())


def test_an_error_ends_the_reply() -> None:
    async def talk() -> None:
        answer = Answer(0, 3)
        reply = Reply([answer], lambda _: None)
        say(answer, Piece(0, "", [], error=ApiError(500, "it failed")))
        with pytest.raises(ApiError, match="it failed"):
            async for _ in reply.batches():
                pass

    loops.run(talk())
