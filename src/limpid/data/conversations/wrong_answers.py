"""Wrong answers of the kinds that models give: another name's facts, a slip in a sum, an invention, a needless no."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from limpid.data.conversations.answers import ADMISSION, ANSWERS, GREETING, IDENTITY, working
from limpid.data.python_docs import FunctionDoc


class Wrong(NamedTuple):
    """manner: which kind of wrong answer it is."""

    manner: str
    text: str


def about_known(rng: random.Random, kind: str, asked: FunctionDoc, functions: Sequence[FunctionDoc]) -> Wrong:
    """A wrong answer to a question of ``kind`` about ``asked``: facts of others of ``functions``, or other facts."""
    manners = _OF_KNOWN[kind]
    return _first_that_differs(
        rng, manners, ANSWERS[kind](asked), lambda make: make(rng, asked, _other(rng, asked, functions))
    )


def about_unknown(rng: random.Random, kind: str, name: str, functions: Sequence[FunctionDoc]) -> Wrong:
    """An invented answer to a question of ``kind`` about a name that does not exist."""
    other = _alike(rng, name, functions) if rng.random() < 0.5 else rng.choice(functions)
    if kind == "description":
        return Wrong("an invented summary", other.summary)
    if kind == "module":
        return Wrong("an invented module", ANSWERS["module"](other))
    if rng.random() < 0.25:
        return Wrong("another's signature", other.signature)
    return Wrong("an invented signature", f"{name}{_arguments(other)}")


def about_sum(rng: random.Random, a: int, operation: str, b: int) -> Wrong:
    """A wrong working of ``a operation b``."""
    return _first_that_differs(rng, _OF_SUMS, working(a, operation, b), lambda make: make(rng, a, operation, b))


def about_talk(rng: random.Random, kind: str, functions: Sequence[FunctionDoc]) -> Wrong:
    """A wrong answer to a greeting, or to who is asked."""
    if rng.random() < 0.5:
        return Wrong("the answer to another question", {"greeting": IDENTITY, "identity": GREETING}[kind])
    if rng.random() < 0.5:
        return Wrong("a needless admission", ADMISSION)
    return Wrong("the answer to another question", rng.choice(functions).summary)


def _first_that_differs(
    rng: random.Random, manners: Mapping[str, Callable[..., str]], right: str, make: Callable[[Callable[..., str]], str]
) -> Wrong:
    while True:
        manner = rng.choice(list(manners))
        text = make(manners[manner])
        if text != right:
            return Wrong(manner, text)


# ---------------------------------------------------------------- names


def _other(rng: random.Random, asked: FunctionDoc, functions: Sequence[FunctionDoc]) -> FunctionDoc:
    """Another function: of the same module, of a like name, or any."""
    neighbours = [f for f in functions if f.module == asked.module and f.name != asked.name]
    drawn = rng.random()
    if neighbours and drawn < 0.3:
        return rng.choice(neighbours)
    others = [f for f in functions if f.name != asked.name]
    return _alike(rng, asked.name, others) if drawn < 0.6 else rng.choice(others)


def _alike(rng: random.Random, name: str, functions: Sequence[FunctionDoc]) -> FunctionDoc:
    """One of the functions that share most pieces with ``name``: what a model confuses it with."""
    pieces = _pieces(name)
    scored = [
        (len(pieces & _pieces(f.name)), f.name[:1].lower() == name[:1].lower(), rng.random(), f) for f in functions
    ]
    return max(scored, key=lambda scores: scores[:3])[3]


def _pieces(name: str) -> set[str]:
    return {piece.lower() for piece in re.findall(r"[A-Z]+[a-z]*|[a-z]+", name)}


def _arguments(function: FunctionDoc) -> str:
    return function.signature[function.signature.index("(") :]


def _blended(rng: random.Random, asked: FunctionDoc, other: FunctionDoc) -> str:
    """The beginning of the right summary, the end of another."""
    own, theirs = asked.summary.split(), other.summary.split()
    return " ".join([*own[: rng.randint(1, len(own) - 1)], *theirs[-rng.randint(1, max(1, len(theirs) // 2)) :]])


def _changed_arguments(rng: random.Random, asked: FunctionDoc, other: FunctionDoc) -> str:
    """The right signature with an argument lost, or with one of another's."""
    own = re.findall(r"[^,()]+", _arguments(asked))
    theirs = re.findall(r"[^,()]+", _arguments(other))
    if own and (rng.random() < 0.5 or not theirs):
        own.pop(rng.randrange(len(own)))
    elif theirs:
        own.insert(rng.randint(0, len(own)), rng.choice(theirs))
    return f"{asked.name}({', '.join(argument.strip() for argument in own)})"


_OF_KNOWN: Mapping[str, Mapping[str, Callable[[random.Random, FunctionDoc, FunctionDoc], str]]] = {
    "description": {
        "another's summary": lambda rng, asked, other: other.summary,
        "two summaries blended": _blended,
        "the answer to another question": lambda rng, asked, other: ANSWERS[rng.choice(("module", "signature"))](asked),
    },
    "module": {
        "another module": lambda rng, asked, other: ANSWERS["module"](other),
        "its own name as a module": lambda rng, asked, other: f"It is in the {asked.name.lower()} module.",
        "the answer to another question": lambda rng, asked, other: ANSWERS[rng.choice(("description", "signature"))](
            asked
        ),
    },
    "signature": {
        "another's signature": lambda rng, asked, other: other.signature,
        "another's arguments": lambda rng, asked, other: f"{asked.name}{_arguments(other)}",
        "a changed argument": _changed_arguments,
        "the answer to another question": lambda rng, asked, other: ANSWERS[rng.choice(("description", "module"))](
            asked
        ),
    },
}


# ---------------------------------------------------------------- sums


def _wrong_total(rng: random.Random, a: int, operation: str, b: int) -> str:
    """Right steps, and then another number."""
    steps, _, total = working(a, operation, b).rpartition(" ")
    return f"{steps} {max(0, int(total[:-1]) + rng.choice((-10, -2, -1, 1, 2, 10)))}."


def _wrong_units(rng: random.Random, a: int, operation: str, b: int) -> str:
    """A slip in the first step, that the total follows."""
    units, rest = working(a, operation, b).split(", ", 1)
    tens, total = rest.split(", so ")
    slip = rng.choice((-1, 1))
    first, result = units.split(" = ")
    return f"{first} = {max(0, int(result) + slip)}, {tens}, so {max(0, int(total[:-1]) + slip)}."


def _wrong_carry(rng: random.Random, a: int, operation: str, b: int) -> str:
    """What was to be carried or borrowed is forgotten, or done where nothing was."""
    units, tens, total = re.split(", so |, ", working(a, operation, b)[:-1])
    left, _ = tens.split(" = ")
    *numbers, carried = re.split(r" [+-] ", left)
    change = 1 - 2 * int(carried)
    high = int(tens.split(" = ")[1]) + (change if operation == "+" else -change)
    text = f" {operation} ".join([*numbers, str(int(carried) + change)])
    moved = 10 * (change if operation == "+" else -change)
    return f"{units}, {text} = {max(0, high)}, so {max(0, int(total) + moved)}."


_OF_SUMS: Mapping[str, Callable[[random.Random, int, str, int], str]] = {
    "a wrong total": _wrong_total,
    "a slip in the units": _wrong_units,
    "a wrong carry": _wrong_carry,
    "another sum": lambda rng, a, operation, b: working(
        max(a, b), operation, min(max(a, b), max(0, b + rng.choice((-10, -1, 1, 10))))
    ),
    "the other operation": lambda rng, a, operation, b: working(max(a, b), "-" if operation == "+" else "+", min(a, b)),
}
