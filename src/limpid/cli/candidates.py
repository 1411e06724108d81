"""What can stand where a command line has come to: verbs, options, recipes, their keys, runs. No verb is run for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpid.cli.main import VERBS, load_verb

RUN_ARGUMENTS = {"run", "runs"}
RUN_OPTIONS = {"source", "draft", "teacher", "baseline"}
"""Parameters, by their names in Python, that take a run."""


class Candidate(NamedTuple):
    """value: the whole word. help: a few words on it."""

    value: str
    help: str = ""


def candidates(line: str) -> list[Candidate]:
    """The words that may stand at the end of ``line``, which ends where the cursor is; empty: files, or nothing."""
    *words, begun = _split(line)
    return sorted({found for found in _all(words[1:], begun) if found.value.startswith(begun)})


def _all(words: list[str], begun: str) -> Iterable[Candidate]:
    verb = next((word for word in words if not word.startswith("-")), None)
    if verb is None:
        return [Candidate(name, help) for name, help in VERBS.items()] + [Candidate("--help"), Candidate("--version")]
    if verb not in VERBS:
        return []
    command, rest = load_verb(verb), words[words.index(verb) + 1 :]
    while below := getattr(command, "commands", None):
        name = next((word for word in rest if word in below), None)
        if name is None:
            return [Candidate(key, inner.help or "") for key, inner in below.items()]
        command, rest = below[name], rest[rest.index(name) + 1 :]
    return _parameters(command, verb, rest, begun)


def _parameters(command: Any, verb: str, words: list[str], begun: str) -> Iterable[Candidate]:
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    spelled = {spelling: option for option in options for spelling in (*option.opts, *option.secondary_opts)}
    place, waiting = 0, None
    for word in words:
        if waiting is not None:
            waiting = None
        elif word in spelled:
            waiting = None if spelled[word].is_flag else spelled[word]
        elif not word.startswith("-"):
            place += 1
    if waiting is not None:
        return _values(waiting, verb, begun)
    if begun.startswith("-"):
        return [Candidate(spelling, option.help or "") for spelling, option in spelled.items()]
    if not arguments:
        return []
    argument = arguments[min(place, len(arguments) - 1)]
    return _values(argument, verb, begun) if place < len(arguments) or argument.nargs == -1 else []


def _values(parameter: Any, verb: str, begun: str) -> Iterable[Candidate]:
    """What a parameter takes, by its name: the same name means the same thing in every verb."""
    if parameter.name == "overrides":
        return _assignments(verb, begun)
    if verb == "lesson" and parameter.name == "name":
        return _lessons()
    if parameter.name in ("recipe", "sources"):
        return _recipes()
    if parameter.name in RUN_ARGUMENTS | RUN_OPTIONS:
        return _runs(by_name=parameter.name in RUN_ARGUMENTS)
    choices = parameter.type_descriptor.choices or ()
    return [Candidate(str(getattr(choice, "value", choice))) for choice in choices]


def _recipes() -> Iterator[Candidate]:
    from importlib import resources

    for entry in (resources.files("limpid") / "recipes").iterdir():
        if entry.name.endswith(".toml"):
            first = entry.read_text(encoding="utf-8").partition("\n")[0]
            yield Candidate(entry.name.removesuffix(".toml"), first.removeprefix("# ") if first.startswith("#") else "")


def _lessons() -> Iterator[Candidate]:
    from limpid.lessons.book import NAMES, find

    return (Candidate(name, find(name).title.en) for name in NAMES)


def _assignments(verb: str, begun: str) -> Iterator[Candidate]:
    """Sections, then the keys of one, then the values of a key where these are few words."""
    from limpid.cli.recipe_keys import recipe_keys

    keys = recipe_keys(verb)
    key, equals, _ = begun.partition("=")
    if equals:
        yield from (Candidate(f"{key}={word}") for word in keys.get(key, ()))
    elif "." in begun:
        yield from (Candidate(f"{name}=", " | ".join(words)) for name, words in keys.items())
    else:
        yield from (Candidate(f"{section}.") for section in {name.partition(".")[0] for name in keys})


def _runs(by_name: bool) -> Iterator[Candidate]:
    """The runs under the runs folder: by their paths, and by their names where the verb knows them by these."""
    from limpid.core.paths import runs_dir

    place = runs_dir()
    for path in _run_folders(place):
        yield Candidate(str(path))
        if by_name:
            yield Candidate(path.relative_to(place).as_posix())


def _run_folders(place: Path) -> Iterator[Path]:
    """Runs, and the folders that hold a line of them: those that ``limpid chat`` takes for its last stage."""
    from limpid.stages.runs import find_runs

    if place.is_dir():
        for run in find_runs(place):
            yield run
            if run.parent != place:
                yield run.parent


def _split(line: str) -> list[str]:
    """The words of a line; the last is the one at the cursor, empty after a space."""
    try:
        words = shlex.split(line)
    except ValueError:  # within quotes
        words = line.split()
    return [*words, ""] if not words or line[-1:].isspace() else words
