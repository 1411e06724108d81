"""A long text in parts that are tokenized one by one, with the tokens of the whole."""

from __future__ import annotations

from collections.abc import Iterator

CHUNK_CHARACTERS = 1 << 20


def chunks(text: str, size: int = CHUNK_CHARACTERS) -> Iterator[str]:
    """Parts of ``text`` of at least ``size`` characters (but the last), each ended by a line break.

    The break stands between two characters that are no white space. The patterns by which texts are split into words
    (GPT-2's, GPT-4's, ours) split there whatever is around, so that no token is lost or changed. A text without such a
    place stays whole.
    """
    begin = 0
    while len(text) - begin > size:
        end = text.find("\n", begin + size - 1)
        while end >= 0 and (end + 1 >= len(text) or text[end - 1].isspace() or text[end + 1].isspace()):
            end = text.find("\n", end + 1)
        if end < 0:
            break
        yield text[begin : end + 1]
        begin = end + 1
    yield text[begin:]
