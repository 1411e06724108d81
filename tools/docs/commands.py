"""The reference of the command line, from the commands that typer makes of the verbs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from tools.docs.markup import code, prose, table

from limpid.cli.main import VERBS, load_verb


def page() -> str:
    """Every verb with its arguments and options."""
    verbs = [f"| [`limpid {name}`](#limpid-{name}) | {words} |" for name, words in VERBS.items()]
    opening = (
        "# Command line\n\n"
        "What `limpid VERB --help` says, on one page. A recipe's keys are given as `section.key=value` behind it: "
        "[recipe keys](keys.md). Exit codes: 0; 1 for what went wrong, in one line; 2 for a command line that cannot "
        "be understood; 130 after Ctrl-C. `LIMPID_DEBUG=1` shows tracebacks.\n\n"
        "| | |\n|---|---|\n" + "\n".join(verbs)
    )
    described = [part for name in VERBS for part in describe(load_verb(name), f"limpid {name}")]
    return "\n\n".join([opening, *described]) + "\n"


def describe(command: Any, path: str) -> Iterator[str]:
    """A verb's section, and those of the verbs it has of its own."""
    depth = "#" * (path.count(" ") + 1)
    yield f"{depth} {path}"
    yield prose(command.help or "")
    inner = getattr(command, "commands", {})
    if not inner:
        yield f"```\n{usage(command, path)}\n```"
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help" and not p.hidden]
    if arguments:
        rows = [(code(p.name.upper()), prose(getattr(p, "help", None) or "")) for p in arguments]
        yield table(("argument", ""), rows)
    if options:
        yield table(("option", "", "default"), [_option(p, typer.Context(command)) for p in options])
    for name, below in inner.items():
        yield from describe(below, f"{path} {name}")


def usage(command: Any, path: str) -> str:
    """The one line of a call."""
    words = [path]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
            words.append(name if parameter.required else f"[{name}]")
    return " ".join([*words, "[OPTIONS]"])


def _option(parameter: Any, context: Any) -> tuple[str, str, str]:
    names = ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    if not parameter.is_flag:
        names += f" {_value(parameter, context)}"
    default = parameter.default
    shown = "" if default is None or default is False or callable(default) or default == [] else str(default)
    return names, prose(parameter.help or ""), code(shown)


def _value(parameter: Any, context: Any) -> str:
    return code(parameter.metavar or parameter.display_type(context))
