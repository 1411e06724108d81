"""The whole state as the text after an address's #, and back. The names are TensorFlow Playground's, so that its own
addresses are understood; what limpid adds has names of its own."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_plus

from limpid.core.errors import LimpidError
from limpid.lessons.playground.features import FEATURES
from limpid.lessons.playground.own_data import OwnData, from_address, to_address
from limpid.lessons.playground.settings import OWN, Settings

MAX_ADDRESS = 64 * 1024
MAX_FAULTS = 6
_HIDE = "_hide"
_WORDS = {
    "problem": "problem", "dataset": "dataset", "regDataset": "reg_dataset", "seed": "seed", "activation": "activation",
    "regularization": "regularization", "weightSeed": "weight_seed", "optimizer": "optimizer", "loss": "loss",
}  # fmt: skip
_NUMBERS = {
    "noise": "noise", "learningRate": "learning_rate", "regularizationRate": "regularization_rate",
    "dropout": "dropout", "speed": "epochs_per_second",
}  # fmt: skip
_WHOLES = {"percTrainData": "train_percent", "batchSize": "batch_size"}
_TRUTHS = {"showTestData": "show_test", "discretize": "discretize", "initZero": "init_zero"}
_NO_USE = ("collectStats", "tutorial", "hideText")
"""TensorFlow Playground's own: hideText is taken for hidden=notes, the others ask for what is not here."""
NAMES = (*_WORDS, *_NUMBERS, *_WHOLES, *_TRUTHS, *_NO_USE, "networkShape", "activations", "points", *FEATURES)


class Found(NamedTuple):
    """What an address says. faults: a line for each of the first parts that were not understood and left at
    their defaults."""

    settings: Settings
    own: OwnData | None
    faults: list[str]


def write(settings: Settings, own: OwnData | None = None) -> str:
    """The address of a state: every value that is not the default, then the seed."""
    plain = Settings()
    parts: dict[str, str] = {}
    for table in (_WORDS, _NUMBERS, _WHOLES, _TRUTHS):
        for name, field in table.items():
            value = getattr(settings, field)
            if value != getattr(plain, field) and field != "seed":
                parts[name] = _text(value)
    if settings.layers != plain.layers:
        parts["networkShape"] = ",".join(map(str, settings.layers))
    if settings.activations:
        parts["activations"] = ",".join(settings.activations)
    for name in FEATURES:
        if (name in settings.inputs) != (name in plain.inputs):
            parts[name] = _text(name in settings.inputs)
    parts |= {f"{name}{_HIDE}": "true" for name in settings.hidden}
    parts["seed"] = settings.seed
    if own is not None and settings.data_name == OWN:
        parts["points"] = to_address(own)
    return "&".join(f"{name}={quote(value, safe=',.-_')}" for name, value in parts.items())


def read(text: str) -> Found:
    """The state that an address means: a whole one, what follows its # or ?, of limpid or TensorFlow Playground.

    What is not understood is told and left at its default.
    """
    faults: list[str] = []
    if len(text) > MAX_ADDRESS:
        return Found(Settings(), None, [f"the address is longer than {MAX_ADDRESS} characters."])
    given = _parts(text, faults)
    changes: dict[str, Any] = {}
    inputs = set(Settings().inputs)
    hidden: list[str] = []
    for name, value in given.items():
        if name.endswith(_HIDE):
            if value == "true":
                hidden.append(name.removesuffix(_HIDE))
            continue
        if name in FEATURES:
            (inputs.discard if value == "false" else inputs.add)(name)
            continue
        if name in _NO_USE or name == "points":
            if name == "hideText" and value != "false":
                hidden.append("notes")
            continue
        try:
            changes |= _understood(name, value)
        except LimpidError as error:
            faults.append(str(error))
    settings = Settings()
    for field, value in (changes | {"inputs": tuple(inputs), "hidden": tuple(dict.fromkeys(hidden))}).items():
        if field in ("activations", "loss"):
            continue  # they are judged by the layers and the problem, when these are known
        settings = _with(settings, {field: value}, faults)
    for field in ("activations", "loss"):
        if field in changes:
            settings = _with(settings, {field: changes[field]}, faults)
    own = None
    if settings.data_name == OWN:
        try:
            own = from_address(given.get("points", ""), settings.problem) if given.get("points") else None
            if own is None:
                faults.append("the points of this data are not in the address: bring them again.")
        except LimpidError as error:
            faults.append(str(error))
        if own is None:
            settings = settings.changed(dataset="circle", reg_dataset="reg-plane")
    return Found(settings, own, _few(faults))


def _few(faults: list[str]) -> list[str]:
    """Each once, and the first of many."""
    told = list(dict.fromkeys(faults))
    more = len(told) - MAX_FAULTS
    return told if more <= 0 else [*told[:MAX_FAULTS], f"{more} more parts of the address were not understood."]


def _with(settings: Settings, change: dict[str, Any], faults: list[str]) -> Settings:
    try:
        return settings.changed(**change)
    except LimpidError as error:
        faults.append(str(error))
        return settings


def _parts(text: str, faults: list[str]) -> dict[str, str]:
    """name=value pairs of an address, decoded; the last of a name counts."""
    text = text.strip()
    for mark in ("#", "?"):
        text = text.partition(mark)[2] if mark in text else text
    found: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, sign, value = part.partition("=")
        name = unquote_plus(name)
        if not sign or not (name in NAMES or name.endswith(_HIDE)):
            faults.append(_unknown(part[:60], name) if sign else f"{part[:60]!r} is not of the form name=value.")
            continue
        if unquote_plus(value).strip() or name == "networkShape":  # an empty value is the default, but for no layers
            found[name] = unquote_plus(value).strip()
    return found


def _unknown(part: str, name: str) -> str:
    near = get_close_matches(name[:60], NAMES, n=1, cutoff=0.5)
    return f"{part!r} is no setting of the playground." + (f" Did you mean {near[0]!r}?" if near else "")


def _understood(name: str, value: str) -> dict[str, Any]:
    """The change that one part of an address asks for. Raises LimpidError."""
    if name in _WORDS:
        return {_WORDS[name]: value}
    if name in _NUMBERS:
        return {_NUMBERS[name]: _converted(name, value, float, "number")}
    if name in _WHOLES:
        return {_WHOLES[name]: _converted(name, value, int, "whole number")}
    if name in _TRUTHS:
        return {_TRUTHS[name]: value != "false"}
    cells = [cell.strip() for cell in value.split(",")] if value else []
    if name == "activations":
        return {"activations": tuple(cells)}
    return {"layers": tuple(_converted(name, cell, int, "whole number") for cell in cells)}


def _converted(name: str, value: str, kind: Callable[[str], Any], noun: str) -> Any:
    try:
        return kind(value)
    except (ValueError, OverflowError):
        raise LimpidError(f"{name}={value[:40]}: this is no {noun}.") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) else repr(value)
    return str(value)
