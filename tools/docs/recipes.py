"""The reference of recipes: the files that come with limpid, and every key with what it means and is by default."""

from __future__ import annotations

import re
import types
import typing
from typing import Any, Literal

from pydantic_core import PydanticUndefined
from tools.docs.markup import code, prose, summary, table

from limpid.core.recipe import Section, shipped
from limpid.models.registry import FAMILIES
from limpid.stages.recipe import Recipe


def page() -> str:
    """The shipped recipes, as they are."""
    opening = (
        "# Recipes\n\n"
        "A recipe is a TOML file with everything that a run depends on. These come with limpid and are named by their "
        "titles; a path to a file of your own does as well. `section.key=value` behind it sets any key otherwise "
        "([recipe keys](keys.md)), and the recipe as it was used is saved with the run, as `recipe.toml`."
    )
    parts = [f"## {name}\n\n```toml\n{text.strip()}\n```" for name, text in shipped().items()]
    return "\n\n".join([opening, *parts]) + "\n"


def keys_page() -> str:
    """Every section with its keys; then those of the families of models."""
    opening = (
        "# Recipe keys\n\n"
        "`section.key=value` on the command line, or `key = value` under `[section]` in a file. A value is read as "
        "TOML (`3e-4`, `true`, `[1, 2]`), and as a plain text where it is none. A key that does not exist is refused, "
        "and the nearest one named. Where the default is empty, the key is derived from others or from the data."
    )
    parts = [
        f"## {name}\n\n{_section(field.annotation, name)}"
        for name, field in Recipe.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    ]
    families = [
        f"### {name}\n\n{_section(family.config, 'model', ('vocab_size', 'family'))}"
        for name, family in FAMILIES.items()
    ]
    models = (
        "## Keys of the model's family\n\n`model.family` says which; `model.depth` or `model.preset` gives all of them "
        "values, and each can be set. `limpid models` lists families and presets."
    )
    return "\n\n".join([opening, *parts, models, *families]) + "\n"


def _section(section: type[Section], name: str, without: tuple[str, ...] = ()) -> str:
    """What a section is, and a table of its keys with what its docstring says of each."""
    opening, said = described(section)
    rows = [
        (code(f"{name}.{key}"), code(type_name(field.annotation)), _default(field), said.get(key, ""))
        for key, field in section.model_fields.items()
        if key not in without
    ]
    return f"{opening}\n\n{table(('key', 'type', 'default', ''), rows)}".strip()


def described(section: type[Section]) -> tuple[str, dict[str, str]]:
    """The opening of a section's docstring, and what follows each ``key:`` in it or in those it is made from."""
    keys = "|".join(section.model_fields)
    opening, said = "", {}
    for part in reversed([part for part in section.__mro__ if issubclass(part, Section) and part is not Section]):
        text = " ".join((part.__doc__ or "").split())
        opening, *pieces = re.split(rf"(?:^|(?<=[.;] ))((?:{keys})(?:, (?:{keys}))*): ", text)
        for names, words in zip(pieces[::2], pieces[1::2], strict=True):
            said |= dict.fromkeys(names.split(", "), prose(words.strip().rstrip(";")))
    return prose(opening), said


def _default(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined or default is None or default == "":
        return ""
    if isinstance(default, Section):
        return summary(type(default))
    return code(str(default).lower() if isinstance(default, bool) else str(default))


def type_name(annotation: Any) -> str:
    """How a reader calls a type: ``int``, ``"last" | "mean"``, ``list[str]``."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(part) for part in inner if part is not type(None))
    if origin is typing.Annotated:
        return type_name(inner[0])
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if part is ... else type_name(part) for part in inner)}]"
    return getattr(annotation, "__name__", str(annotation))
