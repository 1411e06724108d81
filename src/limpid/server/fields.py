"""Fields whose value may have several forms: each as one form, and with the schema of all of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

STOPS, STOP_LENGTH = 4, 256
"""The most stop strings, and characters in one."""
_BIASES = 4096
_INPUTS = 2048


def _text(content: Any) -> Any:
    """The text of a message whose content is a string or a list of text parts."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("content is a string or a list of parts")
    if not content:
        raise ValueError("content has no part")
    texts = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "refusal"):
            raise ValueError(f"part {number} has the type {str(kind)[:40]!r}; this model reads text parts only")
        text = part.get(kind)
        if not isinstance(text, str):
            raise ValueError(f"part {number} has no string in '{kind}'")
        texts.append(text)
    return "".join(texts)


def _stops(stop: Any) -> Any:
    """Stop strings as a list, whether one or several were given."""
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(item, str) for item in stops):
        raise ValueError("stop is a string or a list of strings")
    if len(stops) > STOPS:
        raise ValueError(f"at most {STOPS} stop strings are taken, not {len(stops)}")
    if not all(stops):
        raise ValueError("a stop string is empty")
    longest = max(map(len, stops), default=0)
    if longest > STOP_LENGTH:
        raise ValueError(f"a stop string has {longest} characters; at most {STOP_LENGTH} are taken")
    return stops


def _prompts(prompt: Any) -> Any:
    """Prompts as a list, each a string or a list of token ids."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(_is_id(item) for item in prompt):
            return [prompt]
        if len(prompt) > _INPUTS:
            raise ValueError(f"at most {_INPUTS} texts are taken at once, not {len(prompt)}")
        if all(isinstance(item, str) for item in prompt):
            return prompt
        if all(isinstance(item, list) and item and all(map(_is_id, item)) for item in prompt):
            return prompt
    raise ValueError("give a string, a list of strings, a list of token ids, or a list of lists of token ids")


def _is_id(item: Any) -> bool:
    return type(item) is int


def _bias(table: Any) -> Any:
    """Token ids, which JSON can only write as strings, and what is added to their scores."""
    if not isinstance(table, dict):
        raise ValueError("logit_bias is an object of token ids and numbers")
    if len(table) > _BIASES:
        raise ValueError(f"at most {_BIASES} tokens can be biased, not {len(table)}")
    for key, value in table.items():
        if not (key.isascii() and key.isdecimal() and len(key) < 12):
            raise ValueError(f"{key[:40]!r} is no token id")
        if isinstance(value, bool) or not isinstance(value, int | float) or not -100 <= value <= 100:
            raise ValueError(f"the bias of token {key} must be a number from -100 to 100")
    return {int(key): float(value) for key, value in table.items()}


_PROMPT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "minItems": 1,
        },
    ]
}
_CONTENT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                "required": ["type", "text"],
            },
        },
        {"type": "null"},
    ]
}
_STOP_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": STOP_LENGTH},
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": STOP_LENGTH}, "maxItems": STOPS},
    ]
}
_BIAS_SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
}  # fmt: skip
Content = Annotated[str | None, BeforeValidator(_text), WithJsonSchema(_CONTENT_SCHEMA)]
Prompts = Annotated[list[str | list[int]], BeforeValidator(_prompts), WithJsonSchema(_PROMPT_SCHEMA)]
Stops = Annotated[list[str], BeforeValidator(_stops), WithJsonSchema(_STOP_SCHEMA)]
Refused = Annotated[Any, WithJsonSchema({"type": "null"})]
"""A field that is known and not taken: `check` says why."""
Bias = Annotated[dict[int, float], BeforeValidator(_bias), WithJsonSchema(_BIAS_SCHEMA)]
