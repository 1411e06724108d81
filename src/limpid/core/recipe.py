"""Recipes: one TOML file a run, strict and frozen, with ``section.key=value`` overrides from the command line.

A recipe is a pydantic model whose fields are sections; every section is a `Section` declared beside the code it
configures. This module knows no section by name: it parses, checks, overrides and saves any of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from limpid.core.errors import LimpidError, did_you_mean


class Section(BaseModel):
    """Base of every recipe and section: immutable, and no key is accepted that the code does not read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Section)


def shipped() -> dict[str, str]:
    """Name -> TOML text of the recipes that come with limpid."""
    folder = resources.files("limpid") / "recipes"
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".toml")
    }


def read_table(name_or_path: str) -> dict[str, Any]:
    """The TOML table of a shipped recipe (by name) or of a file (by path).

    Raises:
        LimpidError: no such recipe or file, or broken TOML (the parser's line is kept).
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LimpidError(f"recipe {path} cannot be read: {error}") from None
    else:
        recipes = shipped()
        if name_or_path not in recipes:
            raise LimpidError(
                f"no recipe is called '{name_or_path}'.{did_you_mean(name_or_path, recipes)} "
                "A path to a .toml file works as well."
            )
        text = recipes[name_or_path]
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LimpidError(f"recipe {name_or_path} is not valid TOML: {error}") from None


def override(table: dict[str, Any], assignments: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``table`` with each ``section.key=value`` laid over it.

    A value is read as TOML (``3e-4``, ``true``, ``[1, 2]``) and, where it is none, as a plain string.
    """
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}
    pairs = assignments.items() if isinstance(assignments, Mapping) else map(_split_assignment, assignments)
    for dotted, value in pairs:
        section, _, key = dotted.partition(".")
        if not section or not key or "." in key:
            raise LimpidError(f"'{dotted}' is not a recipe key; write section.key=value, for example optim.lr=3e-4.")
        target = merged.setdefault(section, {})
        if not isinstance(target, dict):
            raise LimpidError(f"'{section}' is a single value in this recipe and has no key '{key}'.")
        target[key] = value
    return merged


def parse(recipe_type: type[R], table: Mapping[str, Any], where: str) -> R:
    """Validate ``table`` as ``recipe_type``; the first fault becomes one line: ``where``, key, value and remedy."""
    try:
        return recipe_type.model_validate(dict(table))
    except ValidationError as error:
        raise LimpidError(f"{where}: {_explain(recipe_type, error)}") from None


def load(recipe_type: type[R], name_or_path: str, assignments: Iterable[str] | Mapping[str, Any] = ()) -> R:
    """Read a shipped recipe or a file, lay the overrides over it, and validate."""
    return parse(recipe_type, override(read_table(name_or_path), assignments), f"recipe {name_or_path}")


def dumps(recipe: Section) -> str:
    """The recipe as TOML, every default written out, keys without a value (None) left out."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def saved(path: Path, recipe_type: type[Section]) -> str:
    """The recipe saved at ``path`` as `written` would write it today: keys that came since have their defaults.

    Raises:
        LimpidError: it cannot be read, or has a key that is known no more.
    """
    again = parse(recipe_type, read_table(str(path)), str(path))
    return f"{path.read_text(encoding='utf-8').partition(chr(10))[0]}\n{dumps(again)}"


def written(stage: str, recipe: Section) -> str:
    """What the recipe of a run is saved as."""
    return f"# limpid {stage}\n{dumps(recipe)}"


def _split_assignment(assignment: str) -> tuple[str, Any]:
    dotted, equals, raw = assignment.partition("=")
    if not equals:
        raise LimpidError(f"'{assignment}' is not an override; write section.key=value, for example train.steps=100.")
    try:
        return dotted.strip(), tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return dotted.strip(), raw


def _explain(recipe_type: type[Section], error: ValidationError, outer: Sequence[str] = ()) -> str:
    fault = error.errors()[0]
    location = [*outer, *(str(part) for part in fault["loc"])]
    inner = fault.get("ctx", {}).get("error")
    if isinstance(inner, ValidationError):  # a section that validated another table in turn
        return _explain(recipe_type, inner, location)
    dotted = ".".join(location)
    if fault["type"] == "extra_forbidden":
        section = _section_at(recipe_type, location[:-1])
        known = section.model_fields if section else ()
        return f"unknown key '{dotted}'.{did_you_mean(location[-1], known)}"
    if fault["type"] == "missing":
        return f"'{dotted}' is required."
    message = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], dict):  # it is the whole section that does not hold together
        return f"{dotted}: {message.rstrip('.')}." if dotted else f"{message.rstrip('.')}."
    return f"'{dotted}' = {fault['input']!r}: {message[0].lower()}{message[1:]}."


def _section_at(recipe_type: type[Section], location: list[str]) -> type[Section] | None:
    current: type[Section] = recipe_type
    for name in location:
        if name.isdigit():  # a place in a list of sections
            continue
        field = current.model_fields.get(name)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if inner is None:
            return None
        current = inner
    return current
