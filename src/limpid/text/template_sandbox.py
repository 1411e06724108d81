"""Where chat templates run. A template is somebody's program: here it ends in time, and stays within its memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 2.0
"""How long a template may compute; what other processes take meanwhile does not count."""
STEPS = 500_000
"""How many turns of loops and calls."""
CHARACTERS = 8_000_000
"""How long any string it makes may be."""
_NUMBER = 10_000  # widths, counts and depths that a filter may be given
_WIDE = re.compile(r"\d{5,}|\*|\{[^}]*\{")  # in a format: a wide field, or a width that comes from elsewhere
_PADDING = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, its loops and calls counted and its strings measured. Render with `render`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        del self.globals["lipsum"]
        self.filters |= {name: bounded(function) for name, function in self.filters.items()}
        self.filters |= {"replace": _replace, "join": _join, "format": _format}
        self._compiled = lru_cache(maxsize=8)(self.from_string)
        self.filters |= {"limpid_counted": _counted, "limpid_joined": _joined, "limpid_measured": _measured}

    def render(self, source: str, **names: Any) -> str:
        """The text that a template makes.

        Raises:
            SecurityError: it takes too long, or makes too much. Any exception: it is a program.
        """
        token = _meter.set(_Meter())  # before compilation, which computes constant parts
        try:
            template = self._compiled(source)
            parts, length = [], 0
            for part in template.generate(**names):
                _meter.get().step()
                parts.append(part)
                length += len(part)
                _check(length)
            return "".join(parts)
        finally:
            _meter.reset(token)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """As Jinja, but every loop counts its turns, and every text that is put together is measured."""
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = _filtered(loop.iter, "limpid_counted")
        for block in list(tree.find_all(nodes.AssignBlock)):
            block.filter = _filtered(block.filter, "limpid_measured")
        return _with_joins(tree)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        _meter.get().step()
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            match getattr(__obj, "__name__", ""):
                case "replace" if len(args) >= 2:
                    return _replace(owner, *args)
                case "join" if args:
                    return _join(args[0], owner)
                case method if method in _PADDING:
                    _check_numbers(args)
        return _measured(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _meter.get().step()
        if operator == "%" and isinstance(left, str) and _WIDE.search(left):
            raise SecurityError("a format is too wide")
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= 64):
            raise SecurityError("a power is too large")
        if operator == "*":
            _check(max(_size(left) * _count(right), _size(right) * _count(left)))
        if operator == "+":
            _check(_size(left) + _size(right))
        return _measured(super().call_binop(context, operator, left, right))

    def getattr(self, obj: Any, attribute: str) -> Any:
        if _is_wide_format(obj, attribute):
            return self.unsafe_undefined(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if _is_wide_format(obj, argument):
            return self.unsafe_undefined(obj, argument)
        return super().getitem(obj, argument)


class _Meter:
    """What one rendering has used up."""

    def __init__(self) -> None:
        self._steps = 0
        self._deadline = time.thread_time() + SECONDS

    def step(self) -> None:
        self._steps += 1
        if self._steps > STEPS or (self._steps % 64 == 0 and time.thread_time() > self._deadline):
            raise SecurityError(f"it takes more than {STEPS} steps or {SECONDS:g} seconds")


_meter: ContextVar[_Meter] = ContextVar("meter")


def _is_wide_format(obj: Any, attribute: Any) -> bool:
    return isinstance(obj, str) and attribute in ("format", "format_map") and bool(_WIDE.search(obj))


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


def _with_joins(tree: nodes.Template) -> nodes.Template:
    """``a ~ b`` as a filter over [a, b]."""

    def visit(node: nodes.Node) -> nodes.Node:
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Node):
                setattr(node, field, visit(value))
            elif isinstance(value, list):
                setattr(node, field, [visit(item) if isinstance(item, nodes.Node) else item for item in value])
        if isinstance(node, nodes.Concat):
            return _filtered(nodes.List(node.nodes), "limpid_joined")
        return node

    visit(tree)
    assert tree.environment is not None
    tree.set_environment(tree.environment)  # of the new nodes too
    return tree


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    meter = _meter.get()
    for item in items:
        meter.step()
        yield item


def _joined(items: list[Any]) -> str:
    texts = [str(item) for item in items]
    _check(sum(map(len, texts)))
    return "".join(texts)


def _measured(value: Any) -> Any:
    _check(_size(value))
    return value


def _size(value: Any) -> int:
    """Characters or items; of a number, nothing, unless it has hundreds of digits."""
    if isinstance(value, str | list | tuple):
        return len(value)
    return CHARACTERS + 1 if isinstance(value, int) and value.bit_length() > 1024 else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _check(size: int) -> None:
    if size > CHARACTERS:
        raise SecurityError(f"it makes more than {CHARACTERS} characters")


def _check_numbers(values: Iterable[Any]) -> None:
    if any(isinstance(value, int) and abs(value) > _NUMBER for value in values):
        raise SecurityError(f"it uses a number over {_NUMBER} where a width or a count is meant")


def bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose numbers are bounded and whose result is measured. What marks it for Jinja is kept by `wraps`."""

    @wraps(function)
    def within(*args: Any, **kwargs: Any) -> Any:
        _meter.get().step()
        _check_numbers([*args[1:], *kwargs.values()])
        return _measured(function(*args, **kwargs))

    return within


def _replace(text: Any, old: Any, new: Any, count: Any = None) -> str:
    text, old, new = str(text), str(old), str(new)
    _check(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else int(count))


def _join(items: Iterable[Any], between: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        raise SecurityError("join takes no attribute here; use map first")
    texts, between = [str(item) for item in _counted(items)], str(between)
    _check(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _format(text: Any, *args: Any, **kwargs: Any) -> str:
    if _WIDE.search(str(text)):
        raise SecurityError("a format is too wide")
    return str(text) % (kwargs or args)
