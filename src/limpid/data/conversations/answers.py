"""The right answers of conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from limpid.data.python_docs import FunctionDoc

GREETING = "Hello! Ask me about a function of Python, or about a sum."
ADMISSION = "I do not know a function of that name."
IDENTITY = "I am limpid, a small language model trained on this computer from the documentation of Python."

ANSWERS: Mapping[str, Callable[[FunctionDoc], str]] = {
    "description": lambda function: function.summary,
    "module": lambda function: f"It is in the {function.module} module.",
    "signature": lambda function: function.signature,
}


def working(a: int, operation: str, b: int) -> str:
    """The answer to a sum as it is worked out on paper: units first, then tens with what was carried or borrowed.

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
