"""How a vocabulary is learnt from texts, one function a kind; the tokenizers library does the counting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Self

from pydantic import model_validator
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from limpid.core.errors import LimpidError
from limpid.core.recipe import Section
from limpid.text.chinese import spaced
from limpid.text.chunks import chunks

END_OF_TEXT, SYSTEM, USER, ASSISTANT, END_OF_TURN = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
UNKNOWN = "<unk>"
CONTINUED = "##"
"""What a WordPiece token that does not begin a word is spelled with (Devlin et al. 2019)."""

PIECES = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # Radford et al. 2019
    # Of Qwen2 and 3: a word with at most one leading mark or space, the endings 's, 't, 're alone; single digits, so
    # that numbers are read digit by digit; runs of punctuation; line breaks together; white space.
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""The pieces that the kinds over bytes cut a text into; no token reaches over their borders."""

_WORDS = r"[\p{L}\p{M}&&[^\p{Han}]]+(?:['’][\p{L}&&[^\p{Han}]]+)*|\p{N}+|[^\s\p{L}\p{M}\p{N}]"
# Letters, with apostrophes inside; a number; a mark.
_CHINESE = {"characters": r"\p{Han}", "words": r"\p{Han}+"}
# Chinese puts no spaces between words; before "words", `chinese.spaced` has put them.

_CHARACTERS = r"[\s\S]"

Kind = Literal["bpe", "unigram", "wordpiece", "word", "char"]


class TokenizerSection(Section):
    """Which units text is cut into.

    kind: ``bpe`` and ``unigram`` work on bytes, and any text round-trips; ``wordpiece`` and ``word`` keep words and
    drop the white space between them; ``char`` has one token a character. What the last three do not know is <unk>.
    vocab_size: how many tokens the vocabulary has, special ones included; a char vocabulary has what the text has.
    lowercase: whether capitals are read as small letters, for ``wordpiece`` and ``word``.
    chinese: what the kind ``word`` takes for a word in Chinese: a character, or a word as jieba cuts (limpid[chinese]).
    pieces: what the kinds over bytes cut a text into first, a name in `PIECES`; llama.cpp and fast encoders know both.
    """

    kind: Kind = "bpe"
    vocab_size: int = 4096
    lowercase: bool = False
    chinese: Literal["characters", "words"] = "characters"
    pieces: Literal["gpt2", "qwen2"] = "qwen2"

    @model_validator(mode="after")
    def _only_words_are_read_so(self) -> Self:
        if self.lowercase and self.kind not in ("wordpiece", "word"):
            raise ValueError(f"lowercase is for the kinds wordpiece and word; {self.kind} keeps texts as they are")
        if self.chinese == "words" and self.kind != "word":
            raise ValueError(f"chinese=words is for the kind word; {self.kind} finds its own pieces")
        return self


def learn(section: TokenizerSection, texts: Iterable[str], *, exact: bool = True) -> Backend:
    """A vocabulary of the section's kind. The texts are read once, and need not fit in memory together.

    exact: whether ``vocab_size`` must be met; else as near to it as the text comes.

    Raises:
        LimpidError: no text, or more tokens asked for than it supports, or fewer than the kind needs.
    """
    backend = _LEARN[section.kind](section, _not_empty(texts))
    if exact and section.kind != "char":
        _check_size(backend.get_vocab_size(), section.vocab_size)
    return backend


def _bpe(section: TokenizerSection, texts: Iterator[str]) -> Backend:
    """Byte-pair encoding over bytes (Sennrich et al. 2016; Radford et al. 2019, 2.2)."""
    backend = _over_bytes(section, models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=section.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    return _trained(backend, texts, trainer)


def _unigram(section: TokenizerSection, texts: Iterator[str]) -> Backend:
    """The unigram language model (Kudo 2018), over bytes. Its floating-point sums vary a little from run to run."""
    backend = _over_bytes(section, models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=section.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    return _trained(backend, texts, trainer)


def _wordpiece(section: TokenizerSection, texts: Iterator[str]) -> Backend:
    """Subwords that know whether they begin a word (Schuster & Nakajima 2012; Devlin et al. 2019)."""
    backend = _over_words(section, models.WordPiece(unk_token=UNKNOWN))
    trainer = trainers.WordPieceTrainer(
        vocab_size=section.vocab_size,
        special_tokens=[*SPECIAL_TOKENS, UNKNOWN],
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    known = _vocabulary(_trained(backend, texts, trainer))
    # Anew, since the trainer made the unknown token a control token: it stands for text, and is shown.
    return _with_control_tokens(
        _over_words(section, models.WordPiece(known, unk_token=UNKNOWN, continuing_subword_prefix=CONTINUED))
    )


def _word(section: TokenizerSection, texts: Iterator[str]) -> Backend:
    """The most frequent words; of equally frequent ones the first in the order of code points."""
    backend = _over_words(section, models.WordLevel(unk_token=UNKNOWN))
    trainer = trainers.WordLevelTrainer(
        vocab_size=section.vocab_size, special_tokens=[*SPECIAL_TOKENS, UNKNOWN], show_progress=False
    )
    if section.chinese == "words":
        texts = map(spaced, texts)
    known = _vocabulary(_trained(backend, texts, trainer))
    return _with_control_tokens(_over_words(section, models.WordLevel(known, unk_token=UNKNOWN)))


def _char(section: TokenizerSection, texts: Iterator[str]) -> Backend:
    characters: set[str] = set()
    for text in texts:
        characters.update(text)
    if len(characters) < 2:
        raise LimpidError(
            f"the text holds only the character {characters.pop()!r}: there is nothing to learn; check data.path."
        )
    vocabulary = [*SPECIAL_TOKENS, UNKNOWN, *sorted(characters)]
    backend = Backend(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(_CHARACTERS), behavior="isolated")
    backend.decoder = decoders.Fuse()
    return _with_control_tokens(backend)


_LEARN: dict[Kind, Callable[[TokenizerSection, Iterator[str]], Backend]] = {
    "bpe": _bpe,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
    "word": _word,
    "char": _char,
}


def _over_bytes(section: TokenizerSection, model: models.Model) -> Backend:
    least = 257 + len(SPECIAL_TOKENS)
    if section.vocab_size < least:
        raise LimpidError(
            f"tokenizer.vocab_size = {section.vocab_size} is too small: byte-level {section.kind} needs 256 bytes and "
            f"{len(SPECIAL_TOKENS)} control tokens, so at least {least}."
        )
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES[section.pieces]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _over_words(section: TokenizerSection, model: models.Model) -> Backend:
    backend = Backend(model)
    if section.lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(
        Regex(f"{_CHINESE[section.chinese]}|{_WORDS}"), behavior="removed", invert=True
    )
    backend.decoder = decoders.WordPiece(prefix=CONTINUED, cleanup=True)
    return backend


def _trained(backend: Backend, texts: Iterator[str], trainer: trainers.Trainer) -> Backend:
    backend.train_from_iterator((chunk for text in texts for chunk in chunks(text)), trainer)
    return backend


def _check_size(found: int, wanted: int) -> None:
    if found < wanted:
        raise LimpidError(
            f"tokenizer.vocab_size = {wanted} is more than this text supports: it gives {found} tokens. "
            f"Set tokenizer.vocab_size={found} or bring more text."
        )
    if found > wanted:
        raise LimpidError(
            f"tokenizer.vocab_size = {wanted} is too small: the control tokens and the characters of this text, alone "
            f"and within words, are {found}. Set tokenizer.vocab_size to more than that, or take tokenizer.kind=bpe."
        )


def _vocabulary(backend: Backend) -> dict[str, int]:
    found: dict[str, int] = json.loads(backend.to_str())["model"]["vocab"]
    return found


def _with_control_tokens(backend: Backend) -> Backend:
    backend.add_special_tokens(list(SPECIAL_TOKENS))
    return backend


def _not_empty(texts: Iterable[str]) -> Iterator[str]:
    empty = True
    for text in texts:
        if text:
            empty = False
            yield text
    if empty:
        raise LimpidError("there is no text to learn a vocabulary from: every document is empty; check data.path.")
