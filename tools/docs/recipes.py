"""The reference of recipes: the files that come with limpid, and every key with what it means and is by default."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Collection
from typing import Any, Literal

from pydantic_core import PydanticUndefined
from tools.docs.markup import code, prose, table

from limpid.core.recipe import Section, shipped
from limpid.models.registry import FAMILIES, Family
from limpid.nn.rope_scaling import LinearScaling, Llama3Scaling, YarnScaling
from limpid.rollout.rewards.panel import RewardSection
from limpid.stages.recipe import Recipe
from limpid.stages.skipgram import SkipgramSection

SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
} | {"skipgram": SkipgramSection}
SCALINGS: tuple[type[Section], ...] = (LinearScaling, Llama3Scaling, YarnScaling)
OF_NO_FAMILY = {"vocab_size", "family"}
"""Keys of a model's config that are not the family's to set: the tokenizer says the one, `ModelSection` the other."""


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
    parts = [f"## {name}\n\n{_section(section, name)}" for name, section in SECTIONS.items()]
    rewards = (
        "## Tables of rewards\n\n`grpo.rewards` and `ppo.rewards` are lists of tables with these keys: "
        "`'grpo.rewards=[{function=\"length\", weight=0.5}]'`."
    )
    models = (
        "## Keys of the model's family\n\n`model.family` says which; `model.depth` or `model.preset` gives all of them "
        "values, and each can be set. `limpid models` lists families and presets."
    )
    families = [f"### {name}\n\n{_family(family)}" for name, family in FAMILIES.items()]
    scaling = (
        "### Tables of rope_scaling\n\n`model.rope_scaling` is a table of one of these kinds: "
        "`'model.rope_scaling={kind=\"linear\", factor=2}'`."
    )
    kinds = [f"#### {kind.model_fields['kind'].default}\n\n{_section(kind)}" for kind in SCALINGS]
    return "\n\n".join([opening, *parts, rewards, _section(RewardSection), models, *families, scaling, *kinds]) + "\n"


def sections_of_the_page() -> dict[str, type[Section]]:
    """What they are called on the page of keys -> the sections."""
    families = {name: family.config for name, family in FAMILIES.items()}
    return SECTIONS | families | {kind.__name__: kind for kind in (RewardSection, *SCALINGS)}


def _family(family: Family) -> str:
    """A family's keys. What the dial sets has no default of its own in a recipe, whatever its config says."""
    dial = f"What `model.depth` gives: {prose(' '.join((family.dial.__doc__ or '').split()))}"
    return f"{_section(family.config, 'model', OF_NO_FAMILY, set(family.dial(1, {})))}\n\n{dial}"


def _section(
    section: type[Section], name: str = "", without: Collection[str] = (), derived: Collection[str] = ()
) -> str:
    """What a section is, and a table of its keys (but for those ``without``) with what its docstring says of each."""
    opening, said = described(section)
    rows = [
        (
            code(f"{name}.{key}" if name else key),
            code(type_name(field.annotation)),
            "" if key in derived else _default(field),
            said.get(key, ""),
        )
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
    return code(_toml(default))


def _toml(value: Any) -> str:
    """As it is typed: a plain text bare, tables and lists as TOML writes them on one line, defaults left out."""
    if isinstance(value, Section):
        items = value.model_dump(exclude_defaults=True).items()
        return f"{{{', '.join(f'{key} = {_quoted(inner)}' for key, inner in items)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _toml(value)


def type_name(annotation: Any) -> str:
    """How a reader calls a type: ``int``, ``"last" | "mean"``, ``list[str]``."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(type_name(part) for part in inner if part is not type(None)))
    if origin is typing.Annotated:
        return type_name(inner[0])
    if origin is tuple and inner[-1] is not ...:
        return f"[{', '.join(map(type_name, inner))}]"
    if origin in (tuple, list):
        return f"list[{type_name(inner[0])}]"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, Section)):
        return "table"
    return getattr(annotation, "__name__", str(annotation))
