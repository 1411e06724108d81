"""Chat data made from the documentation of Python: every question has exactly one right answer.

The answers come from :func:`limpid.data.python_docs.functions`; the questions from the ``phrasings`` beside. What is
asked in an evaluation is never asked in training: other phrasings, other functions, other sums, other made-up names.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

from limpid.core.errors import LimpidError, did_you_mean
from limpid.data.conversations.phrasings import PHRASINGS
from limpid.data.python_docs import FunctionDoc, functions, identifiers

Grade = Literal["right", "admitted", "wrong"]

GREETING = "Hello! Ask me about a function of Python, or about a sum."
ADMISSION = "I do not know a function of that name."
IDENTITY = "I am limpid, a small language model trained on this computer from the documentation of Python."

ASKED_OF_NAMES = ("description", "module", "signature")
MIXTURE: dict[str, float] = {
    "description": 0.23, "module": 0.18, "signature": 0.18, "unknown": 0.18, "arithmetic": 0.18, "greeting": 0.03,
    "identity": 0.02,
}  # fmt: skip
RL_MIXTURE: dict[str, float] = {
    "description": 0.15, "module": 0.19, "signature": 0.16, "unknown": 0.40, "arithmetic": 0.10,
}  # fmt: skip
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
            asked = rng.choice(ASKED_OF_NAMES)
            return _unknown(rng.choice(self.fakes[purpose]), asked, wording(asked))
        if kind == "arithmetic":
            while True:
                operation = _choose(rng, OPERATIONS)
                a, b = rng.randint(0, self.largest_operand), rng.randint(0, self.largest_operand)
                if not is_held_out_sum(a, operation, b) and _is_asked(a, operation, b):
                    return _sum(a, operation, b, wording(kind))
        return _talk(kind, wording(kind))

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

_ANSWERS: Mapping[str, Callable[[FunctionDoc], str]] = {
    "description": lambda function: function.summary,
    "module": lambda function: f"It is in the {function.module} module.",
    "signature": lambda function: function.signature,
}


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
    return _conversation(kind, question, function.name, phrasing, _ANSWERS[kind](function))


def _unknown(name: str, asked: str, phrasing: int) -> Conversation:
    question = PHRASINGS[asked].all[phrasing].format(name=name)
    before = sum(len(PHRASINGS[kind].all) for kind in ASKED_OF_NAMES[: ASKED_OF_NAMES.index(asked)])
    return _conversation("unknown", question, name, before + phrasing, ADMISSION)


def _sum(a: int, operation: str, b: int, phrasing: int) -> Conversation:
    word = {"+": "plus", "-": "minus"}[operation]
    subject = f"{a} {operation} {b}"
    question = PHRASINGS["arithmetic"].all[phrasing].format(sum=subject, words=f"{a} {word} {b}")
    return _conversation("arithmetic", question, subject, phrasing, _working(a, operation, b))


def _working(a: int, operation: str, b: int) -> str:
    """The answer as it is worked out on paper: units first, then tens with what was carried or borrowed.

    A small model cannot see the sum of two numbers at a glance, but it can learn each of these steps.
    """
    units_a, units_b, tens_a, tens_b = a % 10, b % 10, a // 10, b // 10
    if operation == "+":
        units = units_a + units_b
        carried = units // 10
        steps = f"{units_a} + {units_b} = {units}, {tens_a} + {tens_b} + {carried} = {tens_a + tens_b + carried}"
        return f"{steps}, so {a + b}."
    borrowed = int(units_a < units_b)
    units_a += 10 * borrowed
    steps = (
        f"{units_a} - {units_b} = {units_a - units_b}, {tens_a} - {tens_b} - {borrowed} = {tens_a - tens_b - borrowed}"
    )
    return f"{steps}, so {a - b}."


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
