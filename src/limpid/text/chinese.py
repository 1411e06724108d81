"""Chinese cut into words, which it writes without spaces, by jieba's dictionary and hidden Markov model."""

from __future__ import annotations

import re

from limpid.core.errors import LimpidError

_HAN_RUN = re.compile(
    "[\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]{2,}"
)
"""Two Chinese characters or more (Unicode's script Han) with nothing between them."""

NO_OTHER_CUTS_SO = (
    "this tokenizer cuts Chinese into words by jieba's dictionary, which no file of other programs can say; train with "
    "tokenizer.chinese=characters, or tokenizer.kind=bpe, to export."
)


def spaced(text: str) -> str:
    """``text`` with a space between any two Chinese words that touch.

    Raises:
        LimpidError: rjieba (the extra ``limpid[chinese]``) is not installed.
    """
    try:
        import rjieba
    except ImportError:
        raise LimpidError(
            "cutting Chinese into words needs the optional library rjieba: pip install 'limpid[chinese]', or keep "
            "tokenizer.chinese=characters."
        ) from None
    return _HAN_RUN.sub(lambda run: " ".join(rjieba.cut(run[0])), text)


def places(text: str, with_spaces: str) -> list[int]:
    """For each place in ``with_spaces``, which is `spaced` of ``text``, and for its end, the same place in ``text``."""
    found, at = [], 0
    for character in with_spaces:
        found.append(at)
        # A space that text does not have here was put in.
        at += at < len(text) and character == text[at]
    return [*found, at]
