"""The reference of the public face in Python, from signatures and docstrings.

mkdocstrings would do it too; it brings MkDocs, which nobody keeps up, for these hundred lines.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from tools.docs.markup import docstring

import limpid
from limpid.core.errors import LimpidError
from limpid.inference.language_model import Alternative, LanguageModel, TextEvent
from limpid.inference.sampler import Sampling
from limpid.inspection.trace import Trace
from limpid.stages import events
from limpid.text.tokenizer import Tokenizer
from limpid.training.fit import StepReport

FUNCTIONS = (limpid.load, limpid.train)
CLASSES = (LanguageModel, Sampling, TextEvent, Alternative, Tokenizer, Trace)
EVENTS = (events.Started, StepReport, events.Evaluated, events.Sampled, events.Saved, events.Finished)
HIDDEN = {"model_config", "count", "index"}


def page() -> str:
    """Functions, then classes with their methods, then what a training run yields."""
    opening = (
        "# Python\n\n`import limpid` is light; torch comes with the first model. Shape letters: B batch, T query "
        "length, S key length, D `d_model`, H heads, C `head_dim`, V vocabulary. What goes wrong for a user's "
        "reason is a `LimpidError` of one line."
    )
    functions = [_callable(f"limpid.{function.__name__}", function, "##") for function in FUNCTIONS]
    classes = [part for thing in CLASSES for part in _class(thing)]
    reports = ["## What training yields", *(part for thing in EVENTS for part in _class(thing, "###"))]
    errors = f"## LimpidError\n\n{docstring(LimpidError)}"
    return "\n\n".join([opening, *functions, *classes, *reports, errors]) + "\n"


def _class(thing: type, depth: str = "##") -> Iterator[str]:
    yield f"{depth} {thing.__name__}\n\n`{thing.__module__}`\n\n{docstring(thing)}"
    for name, member in vars(thing).items():
        if name in HIDDEN or name in getattr(thing, "_fields", ()):
            continue
        if name.startswith("_") and name not in ("__getitem__", "__len__"):
            continue
        if isinstance(member, property):
            yield f"{depth}# {thing.__name__}.{name}\n\n{docstring(member)}"
        elif isinstance(member, classmethod):
            yield _callable(f"{thing.__name__}.{name}", getattr(thing, name), f"{depth}#")
        elif inspect.isfunction(member):
            yield _callable(f"{thing.__name__}.{name}", member, f"{depth}#")


def _callable(name: str, function: Any, depth: str) -> str:
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    shown = str(signature.replace(parameters=parameters)).replace("'", "")
    head = f"{name.rpartition('.')[2]}{shown}"
    if len(head) > 100:
        head = head.replace("(", "(\n    ", 1).replace(") ->", "\n) ->")
    return f"{depth} {name}\n\n```python\n{head}\n```\n\n{docstring(function)}"
