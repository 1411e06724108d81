"""Start, delimiter and extract stand where section 3.3 of the GPT-1 paper puts them; nothing else changes."""

import pytest

from limpid.core.errors import LimpidError
from limpid.text.task_inputs import TASK_TOKENS, render, task_tokens, with_task_tokens
from limpid.text.tokenizer import Tokenizer


@pytest.mark.parametrize("kind", ["tokenizer", "char_tokenizer"])
def test_task_tokens_stand_behind_the_vocabulary_and_change_no_other(kind, request):
    before = request.getfixturevalue(kind)
    after = with_task_tokens(before)
    size = before.vocab_size
    assert tuple(task_tokens(after)) == (size, size + 1, size + 2)
    assert after.vocab_size == size + 3
    text = "The cat sat."
    assert after.encode(text) == before.encode(text)
    assert after.decode([size, *after.encode(text), size + 2]) == text  # control tokens are no text
    assert Tokenizer.from_json(after.to_json()).fingerprint == after.fingerprint
    assert with_task_tokens(after).fingerprint == after.fingerprint  # once is enough


def test_a_spelling_typed_by_a_user_is_plain_text(tokenizer):
    after = with_task_tokens(tokenizer)
    for spelling in TASK_TOKENS:
        assert not set(after.encode(f"the {spelling} cat")) & after.special_ids


def test_a_tokenizer_without_them_is_refused(tokenizer):
    with pytest.raises(LimpidError, match="belongs to no classifier"):
        task_tokens(tokenizer)


S, D, E = TOKENS = (100, 101, 102)


@pytest.mark.parametrize(
    ("form", "texts", "expected"),
    [
        ("single", [[1, 2]], [[S, 1, 2, E]]),
        ("pair", [[1, 2], [3]], [[S, 1, 2, D, 3, E]]),
        ("similarity", [[1, 2], [3]], [[S, 1, 2, D, 3, E], [S, 3, D, 1, 2, E]]),
        ("choice", [[1], [2], [3, 4], [5]], [[S, 1, D, 2, E], [S, 1, D, 3, 4, E], [S, 1, D, 5, E]]),
        ("single", [[]], [[S, E]]),
    ],
)
def test_every_form_is_laid_out_as_in_the_paper(form, texts, expected):
    from limpid.text.task_inputs import TaskTokens

    assert render(form, texts, TaskTokens(*TOKENS), 16) == (expected, False)


@pytest.mark.parametrize(
    ("texts", "context", "expected"),
    [
        ([list(range(20))], 8, [S, *range(6), E]),
        ([list(range(20)), [50, 51]], 10, [S, *range(5), D, 50, 51, E]),  # the longer one is cut
        ([list(range(20)), list(range(50, 70))], 9, [S, 0, 1, 2, D, 50, 51, 52, E]),
    ],
)
def test_the_longer_text_is_cut_and_the_extract_token_stays(texts, context, expected):
    from limpid.text.task_inputs import TaskTokens

    rendered = render("single" if len(texts) == 1 else "pair", texts, TaskTokens(*TOKENS), context)
    assert rendered == ([expected], True)
