"""The keys of recipes, read from the source of their sections: importing them would load torch, too slow for a TAB."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
RECIPES = {"skipgram": ("limpid.stages.skipgram", "WordsRecipe")}
"""Verbs with a recipe of their own; all others read `Recipe`."""


def recipe_keys(verb: str) -> dict[str, tuple[str, ...]]:
    """section.key -> the values it may have, where these are few words; of the recipe that a verb reads."""
    module, recipe = RECIPES.get(verb, ("limpid.stages.recipe", "Recipe"))
    keys: dict[str, tuple[str, ...]] = {}
    sections = _fields(module, recipe)
    for section, (annotation, home) in sections.items():
        if isinstance(annotation, ast.Name):
            fields = _fields(home, annotation.id)
            keys |= {f"{section}.{key}": tuple(_words(*field)) for key, field in fields.items()}
    of_families = _family_fields() if "model" in sections else {}
    return keys | {f"model.{key}": tuple(_words(*field)) for key, field in of_families.items()}


def _family_fields() -> dict[str, tuple[ast.expr, str]]:
    """The keys of the configs of all families: the second argument of each `Family` in `FAMILIES`."""
    module = "limpid.models.registry"
    families = next(
        node.value
        for node in _tree(module).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "FAMILIES"
    )
    assert isinstance(families, ast.Dict)
    configs = [call.args[1] for call in families.values if isinstance(call, ast.Call)]
    found = [_fields(module, config.id) for config in configs if isinstance(config, ast.Name)]
    merged = {key: field for fields in found for key, field in fields.items() if key not in ("family", "vocab_size")}
    names = ast.Subscript(ast.Name("Literal"), ast.Tuple([key for key in families.keys if key is not None]))
    return merged | {"family": (names, module)}


def _fields(module: str, name: str) -> dict[str, tuple[ast.expr, str]]:
    """Field -> annotation and the module it stands in, of a class and of those it is made from."""
    node, home = _definition(module, name)
    if not isinstance(node, ast.ClassDef):
        return {}
    fields: dict[str, tuple[ast.expr, str]] = {}
    for base in node.bases:
        if isinstance(base, ast.Name):
            fields |= _fields(home, base.id)
    return fields | {
        line.target.id: (line.annotation, home)
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def _words(annotation: ast.expr, module: str) -> list[str]:
    """The words that an annotation allows: those of a Literal; true and false for a bool."""
    if isinstance(annotation, ast.BinOp):
        return _words(annotation.left, module) + _words(annotation.right, module)
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name):
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        if annotation.value.id == "Literal":
            return [str(part.value) for part in parts if isinstance(part, ast.Constant)]
        return _words(parts[0], module) if annotation.value.id == "Annotated" else []
    if isinstance(annotation, ast.Name):
        if annotation.id == "bool":
            return ["true", "false"]
        node, home = _definition(module, annotation.id)
        return _words(node, home) if isinstance(node, ast.expr) else []
    return []


def _definition(module: str, name: str) -> tuple[ast.AST | None, str]:
    """What a name of a module stands for: its class, or the value it was given; followed through imports."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node, module
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node.value, module
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("limpid."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _definition(node.module or "", alias.name)
    return None, module


@cache
def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"))
