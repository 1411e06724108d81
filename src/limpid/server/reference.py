"""The page /docs: the OpenAPI description as HTML, whole in itself, so that no request leaves the machine."""

from __future__ import annotations

import re
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, td:first-child { font-family: ui-monospace, monospace; font-size: .9em; }
section { border-top: 1px solid #8885; padding: .5rem 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8883; padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; }
summary { cursor: pointer; }
"""


def page(table: dict[str, Any]) -> str:
    """HTML for an OpenAPI table."""
    sections = [
        _operation(path, method, operation, table)
        for path, operations in table["paths"].items()
        for method, operation in operations.items()
    ]
    info = table["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('summary', ''))} "
        'The same for programs: <a href="/openapi.json">openapi.json</a>.</p>' + "".join(sections) + "</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any], table: dict[str, Any]) -> str:
    parts = [f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"]
    parts.append(f"<p>{_prose(operation.get('description', ''))}</p>")
    if body := operation.get("requestBody"):
        parts.append(_fields(_resolved(body["content"]["application/json"]["schema"], table), table))
    rows = [
        f"<tr><td>{status}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    ]
    parts.append(f"<details><summary>Responses</summary><table>{''.join(rows)}</table></details></section>")
    return "".join(parts)


def _fields(schema: dict[str, Any], table: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"<tr><td>{escape(name)}{' *' if name in required else ''}</td><td>{escape(_kind(field, table))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    ]
    told = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    return f"{told}<table><tr><th>Field (* required)</th><th>Value</th></tr>{''.join(rows)}</table>"


def _kind(schema: dict[str, Any], table: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        inner = _resolved(schema, table).get("properties", {})
        return f"{name} {{{', '.join(inner)}}}"
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        return " or ".join(dict.fromkeys(_kind(branch, table) for branch in branches))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), table)}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "maxLength": "length ≤"}
    limits = [(sign, float(schema[key])) for key, sign in signs.items() if key in schema]
    return " ".join(
        [kind, *(f"{sign} {limit:.0f}" if limit.is_integer() else f"{sign} {limit:g}" for sign, limit in limits)]
    )


def _prose(text: str) -> str:
    """A docstring as HTML: ``names`` in it are code."""
    return re.sub("``(.+?)``", r"<code>\1</code>", escape(text))


def _resolved(schema: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = table["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found
