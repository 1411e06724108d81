"""Chat data made from the documentation of Python: every question has exactly one right answer.

The answers come from :func:`limpid.data.python_docs.functions`; the questions from the ``phrasings`` beside. What is
asked in an evaluation is never asked in training: other phrasings, other functions, other sums, other made-up names.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.data.conversations.answers import ADMISSION, ANSWERS, GREETING, IDENTITY, working
from limpid.data.conversations.phrasings import PHRASINGS
from limpid.data.conversations.wrong_answers import Wrong, about_known, about_sum, about_talk, about_unknown
from limpid.data.document import Split
from limpid.data.preferences import Preference
from limpid.data.python_docs import FunctionDoc, functions, identifiers

Grade = Literal["right", "admitted", "wrong"]

ASKED_OF_NAMES = ("description", "module", "signature")
MIXTURE: dict[str, float] = {
    "description": 0.23, "module": 0.18, "signature": 0.18, "unknown": 0.18, "arithmetic": 0.17, "greeting": 0.03,
    "identity": 0.03,
}  # fmt: skip
ASKED_OF_UNKNOWN: dict[str, float] = {"description": 0.3, "module": 0.4, "signature": 0.3}
"""In fine-tuning, of a made-up name; what is said of its module is short, and soonest invented. RL asks evenly: more of
modules there made the model refuse those it knows (97.3 to 93.8% right)."""
RL_MIXTURE: dict[str, float] = {
    "description": 0.15, "module": 0.19, "signature": 0.16, "unknown": 0.40, "arithmetic": 0.10,
}  # fmt: skip
PREFERENCE_MIXTURE: dict[str, float] = {
    "description": 0.20, "module": 0.18, "signature": 0.18, "unknown": 0.24, "arithmetic": 0.16, "greeting": 0.02,
    "identity": 0.02,
}  # fmt: skip
HELD_OUT_SHARE = 0.12  # of the held-out pairs are about functions that no conversation of training is about
CONTRASTS: dict[tuple[str, str], float] = {
    ("right", "wrong"): 0.6,
    ("right", "admitted"): 0.2,
    ("admitted", "wrong"): 0.2,
}
OPERATIONS: dict[str, float] = {"+": 0.5, "-": 0.5}
SEVERAL_TURNS = 0.15  # of the training conversations have more than one question

HELD_OUT_FUNCTIONS = 110
FAKE_NAMES = {"train": 20_000, "rl": 4000, "test": 300}
_FAKE_POOLS = {name: sum(list(FAKE_NAMES.values())[:place]) for place, name in enumerate(FAKE_NAMES)}


Message = Mapping[str, str]  # {"role": "user" or "assistant", "content": ...}


class Conversation(NamedTuple):
    """Questions and their right answers. Every assistant message is right; ``expected`` is the last one's text."""

    kind: str
    messages: tuple[Message, ...]
    subject: str  # what the last question is about: a name, "17 + 25", or ""
    phrasing: int  # of the last question, in PHRASINGS[kind].all (for "unknown": the three kinds' lists in a row)
    expected: str

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages up to the last question: what a model is given when its answer is to be graded."""
        return self.messages[:-1]


def grade(conversation: Conversation, answer: str) -> Grade:
    """Whether ``answer`` is the right one, an admission of not knowing, or neither; only outer whitespace is ignored.

    Where the name is made up the admission is the right answer.
    """
    said = answer.strip()
    if said == conversation.expected:
        return "right"
    return "admitted" if said == ADMISSION else "wrong"


class Dialogues:
    """An endless, random-access stream of conversations: every method is a pure function of ``seed`` and its arguments.

    The data are those of the running Python: another version of Python has other functions to talk about.
    """

    def __init__(self, seed: int = 0, largest_operand: int = 99) -> None:
        self.seed = seed
        self.largest_operand = largest_operand
        self.seen, self.held_out = _known(seed)
        self._by_name = {function.name: function for function in (*self.seen, *self.held_out)}
        names = _fake_names(seed, sum(FAKE_NAMES.values()))
        self.fakes = {pool: names[start : start + FAKE_NAMES[pool]] for pool, start in _FAKE_POOLS.items()}

    def training(self, index: int) -> Conversation:
        """Conversation ``index`` of the training stream, by the proportions of ``MIXTURE``."""
        rng = self._rng("training", index)
        kind = _choose(rng, MIXTURE)
        last = self._one(rng, kind, "train")
        turns: list[Message] = []
        if kind != "greeting" and rng.random() < SEVERAL_TURNS:
            if rng.random() < 0.5:
                turns += self._one(rng, "greeting", "train").messages
            if not turns or rng.random() < 0.5:
                turns += self._one(rng, _choose(rng, RL_MIXTURE), "train").messages
        return last._replace(messages=(*turns, *last.messages))

    def rl_prompts(self, index: int) -> Conversation:
        """Question ``index`` for reinforcement learning: known names, made-up names no other pool has, and sums."""
        rng = self._rng("rl", index)
        return self._one(rng, _choose(rng, RL_MIXTURE), "rl")

    def preferences(self, index: int, split: Split) -> Preference:
        """Pair ``index`` of a split: a right answer over an admission over a wrong answer, the wrong ones as natural
        as models give them (see `wrong_answers`).

        Validation and test ask in phrasings, of sums and of made-up names that training never has; a share is about
        functions that it never has either (kind ``held_out``), of which a model can know only what it has read. kind:
        the question's, a colon, and what is wrong with the worse answer.
        """
        rng = self._rng(f"preferences {split}", index)
        trained = split == "train"
        if not trained and rng.random() < HELD_OUT_SHARE:
            return self._pair(rng, "held_out", self._asked(rng, rng.choice(ASKED_OF_NAMES), self.held_out, trained))
        kind = _choose(rng, PREFERENCE_MIXTURE)
        return self._pair(rng, kind, self._asked(rng, kind, self.seen, trained))

    def evaluation(self, kind: str, limit: int | None = None) -> list[Conversation]:
        """Questions in phrasings that training never uses, in an order drawn once; at most ``limit`` of them.

        ``description``, ``module`` and ``signature`` ask about functions seen in training; ``held_out`` asks the same
        of functions that were not; ``unknown`` of made-up names that were not; ``arithmetic`` of sums that were not.
        """
        if kind not in EVALUATIONS:
            raise LimpidError(f"There is no evaluation '{kind}'.{did_you_mean(kind, EVALUATIONS)}")
        asked = list(self._held_out(kind))
        self._rng("evaluation", kind).shuffle(asked)
        return asked[:limit]

    def _rng(self, purpose: str, index: int | str) -> random.Random:
        return random.Random(f"limpid {self.seed} {purpose} {index}")

    def _one(self, rng: random.Random, kind: str, purpose: Literal["train", "rl"]) -> Conversation:
        def wording(kind: str) -> int:
            phrasings = PHRASINGS[kind]
            return rng.choice(phrasings.rl_indices) if purpose == "rl" else rng.randrange(len(phrasings.train))

        if kind in ASKED_OF_NAMES:
            return _about(rng.choice(self.seen), kind, wording(kind))
        if kind == "unknown":
            asked = _choose(rng, ASKED_OF_UNKNOWN) if purpose == "train" else rng.choice(ASKED_OF_NAMES)
            return _unknown(rng.choice(self.fakes[purpose]), asked, wording(asked))
        if kind == "arithmetic":
            return _sum(*self._numbers(rng, held_out=False), wording(kind))
        return _talk(kind, wording(kind))

    def _asked(self, rng: random.Random, kind: str, known: Sequence[FunctionDoc], trained: bool) -> Conversation:
        """A question of ``kind``, in the phrasings, sums and made-up names of training, or in those of evaluations."""

        def wording(kind: str) -> int:
            phrasings = PHRASINGS[kind]
            return rng.randrange(len(phrasings.train)) if trained else rng.choice(phrasings.held_out_indices)

        if kind in ASKED_OF_NAMES:
            return _about(rng.choice(known), kind, wording(kind))
        if kind == "unknown":
            asked = rng.choice(ASKED_OF_NAMES)
            return _unknown(rng.choice(self.fakes["train" if trained else "test"]), asked, wording(asked))
        if kind == "arithmetic":
            return _sum(*self._numbers(rng, held_out=not trained), wording(kind))
        return _talk(kind, wording(kind))

    def _numbers(self, rng: random.Random, *, held_out: bool) -> tuple[int, str, int]:
        while True:
            operation = _choose(rng, OPERATIONS)
            a, b = rng.randint(0, self.largest_operand), rng.randint(0, self.largest_operand)
            if is_held_out_sum(a, operation, b) == held_out and _is_asked(a, operation, b):
                return a, operation, b

    def _pair(self, rng: random.Random, kind: str, asked: Conversation) -> Preference:
        """The right answer over an admission, either over a wrong answer; to sums no admission is a good answer."""
        wrong = self._wrong(rng, asked)
        better, worse = asked.expected, wrong
        if asked.kind in ASKED_OF_NAMES:
            grades = rng.choices(list(CONTRASTS), list(CONTRASTS.values()))[0]
            better = ADMISSION if grades[0] == "admitted" else better
            worse = Wrong("a needless admission", ADMISSION) if grades[1] == "admitted" else worse
        elif asked.kind == "arithmetic" and rng.random() < 0.1:
            worse = Wrong("a needless admission", ADMISSION)
        return Preference(asked.prompt, better, worse.text, f"{kind}: {worse.manner}")

    def _wrong(self, rng: random.Random, asked: Conversation) -> Wrong:
        if asked.kind in ASKED_OF_NAMES:
            function = self._by_name[asked.subject]
            return about_known(rng, asked.kind, function, self.seen)
        if asked.kind == "unknown":
            return about_unknown(rng, asked_of_unknown(asked), asked.subject, self.seen)
        if asked.kind == "arithmetic":
            a, operation, b = asked.subject.split()
            return about_sum(rng, int(a), operation, int(b))
        return about_talk(rng, asked.kind, self.seen)

    def _held_out(self, kind: str) -> Iterator[Conversation]:
        if kind in ASKED_OF_NAMES:
            yield from (_about(f, kind, p) for f in self.seen for p in PHRASINGS[kind].held_out_indices)
        elif kind == "held_out":
            for asked in ASKED_OF_NAMES:
                yield from (_about(f, asked, p) for f in self.held_out for p in PHRASINGS[asked].held_out_indices)
        elif kind == "unknown":
            for asked in ASKED_OF_NAMES:
                fakes = self.fakes["test"]
                yield from (_unknown(f, asked, p) for f in fakes for p in PHRASINGS[asked].held_out_indices)
        elif kind == "arithmetic":
            numbers = range(self.largest_operand + 1)
            for operation, a, b in product(OPERATIONS, numbers, numbers):
                if is_held_out_sum(a, operation, b) and _is_asked(a, operation, b):
                    phrasing = PHRASINGS[kind].held_out_indices[(a + b) % len(PHRASINGS[kind].held_out)]
                    yield _sum(a, operation, b, phrasing)
        else:
            yield from (_talk(kind, p) for p in PHRASINGS[kind].held_out_indices)


EVALUATIONS = (*MIXTURE, "held_out")


def is_held_out_sum(a: int, operation: str, b: int) -> bool:
    """Whether ``a operation b`` is kept for evaluation: a tenth of the sums, with ``b + a`` where ``a + b`` is."""
    if operation == "+":
        a, b = min(a, b), max(a, b)
    return _hash(f"{a} {operation} {b}") % 10 == 0


def _is_asked(a: int, operation: str, b: int) -> bool:
    return operation == "+" or a >= b


def _conversation(kind: str, question: str, subject: str, phrasing: int, answer: str) -> Conversation:
    messages: tuple[Message, ...] = (
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    )
    return Conversation(kind, messages, subject, phrasing, answer)


def _about(function: FunctionDoc, kind: str, phrasing: int) -> Conversation:
    question = PHRASINGS[kind].all[phrasing].format(name=function.name)
    return _conversation(kind, question, function.name, phrasing, ANSWERS[kind](function))


def _unknown(name: str, asked: str, phrasing: int) -> Conversation:
    question = PHRASINGS[asked].all[phrasing].format(name=name)
    before = sum(len(PHRASINGS[kind].all) for kind in ASKED_OF_NAMES[: ASKED_OF_NAMES.index(asked)])
    return _conversation("unknown", question, name, before + phrasing, ADMISSION)


def asked_of_unknown(conversation: Conversation) -> str:
    """Which of `ASKED_OF_NAMES` a question about a made-up name is."""
    place = conversation.phrasing
    for kind in ASKED_OF_NAMES:
        if place < len(PHRASINGS[kind].all):
            return kind
        place -= len(PHRASINGS[kind].all)
    raise ValueError(f"there is no phrasing {conversation.phrasing} of made-up names")


def _sum(a: int, operation: str, b: int, phrasing: int) -> Conversation:
    word = {"+": "plus", "-": "minus"}[operation]
    subject = f"{a} {operation} {b}"
    question = PHRASINGS["arithmetic"].all[phrasing].format(sum=subject, words=f"{a} {word} {b}")
    return _conversation("arithmetic", question, subject, phrasing, working(a, operation, b))


def _talk(kind: str, phrasing: int) -> Conversation:
    answer = {"greeting": GREETING, "identity": IDENTITY}[kind]
    return _conversation(kind, PHRASINGS[kind].all[phrasing], "", phrasing, answer)


def _choose(rng: random.Random, mixture: dict[str, float]) -> str:
    return rng.choices(list(mixture), list(mixture.values()))[0]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


# ---------------------------------------------------------------- names that exist

_READABLE = re.compile(r"(?!\w+\()[A-Z][^`\\]+\.")


@cache
def _known(seed: int) -> tuple[tuple[FunctionDoc, ...], tuple[FunctionDoc, ...]]:
    """The functions that conversations are about: (seen in training, held out), each sorted by name."""

    pool: dict[str, FunctionDoc] = {}
    for function in sorted(filter(_usable, functions()), key=lambda f: (f.module.count("."), len(f.name), f)):
        pool.setdefault(function.summary.lower(), function)  # one name a summary: the plainest
    if len(pool) < 4 * HELD_OUT_FUNCTIONS:
        raise LimpidError(f"Only {len(pool)} functions of this Python are documented well enough to talk about.")
    drawn = sorted(pool.values(), key=lambda function: _hash(f"{seed} {function.name}"))
    return tuple(sorted(drawn[HELD_OUT_FUNCTIONS:])), tuple(sorted(drawn[:HELD_OUT_FUNCTIONS]))


def _usable(function: FunctionDoc) -> bool:
    name, summary, signature = function.name, function.summary, function.signature
    return (
        function.unique
        and function.split != "test"  # whose text should stay unread
        and len(name) >= 3
        and 14 <= len(summary) <= 90
        and len(signature) <= 60
        and "(" in signature
        and "=_" not in signature
        and "(self" not in signature  # a special form, not called by users
        and "->" not in summary
        and _READABLE.fullmatch(summary) is not None
        and summary.count("(") == summary.count(")")
        and len(summary.split()) >= 3
        and not re.match(r"(?:See|Internal|Deprecated|Private|Undocumented|This)\b", summary)
    )


# ---------------------------------------------------------------- names that do not


@cache
def _fake_names(seed: int, count: int) -> tuple[str, ...]:
    """Names made of parts of real ones, in the shapes of real ones, none of which occurs in the library's sources."""
    real = [function.name for function in functions()]
    taken = {word.lower() for word in identifiers()}
    pieces = {name: re.findall(r"[A-Z]+[a-z]*|[a-z]+", name) for name in real}
    counts = Counter(piece.lower() for parts in pieces.values() for piece in parts if 3 <= len(piece) <= 9)
    words = sorted(word for word, count in counts.items() if count > 1)
    short = [word for word in words if len(word) <= 6]
    shapes = sorted({f.name for f in filter(_usable, functions())})
    rng = random.Random(f"limpid {seed} fake names")
    found: dict[str, None] = {}
    while len(found) < count:
        name = _disguise(rng, rng.choice(shapes), words, short)
        if name.lower() not in taken and 4 <= len(name) <= 24:
            found[name] = None
            taken.add(name.lower())
    return tuple(found)


def _disguise(rng: random.Random, shape: str, words: list[str], short: list[str]) -> str:
    """A name of the same make as ``shape``: ``get_close_matches`` -> ``get_close_paths``, ``dedent`` -> ``decover``."""
    if "_" in shape.strip("_"):
        parts = shape.strip("_").split("_")[:3]
        parts[rng.randrange(len(parts))] = rng.choice(words)
        return "_".join(parts)
    if shape[0].isupper():
        return "".join(rng.choice(words).capitalize() for _ in range(rng.choice((2, 2, 3))))
    return rng.choice(short) + rng.choice(short)
