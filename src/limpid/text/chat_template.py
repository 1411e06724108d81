"""Chat templates in Jinja, as Hugging Face's tokenizers keep them, run in a sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

import jinja2
import jinja2.meta
from jinja2.ext import Extension, loopcontrols

from limpid.core.errors import LimpidError
from limpid.text.conventions import Conventions
from limpid.text.template_sandbox import Sandbox, bounded
from limpid.text.tokenizer import Tokenizer

LIMPID = (
    "{{- '<|endoftext|>' }}"
    "{%- if tools %}{{- '<|system|>' }}"
    "{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] + '\\n\\n' }}{%- endif %}"
    "{{- 'You may call these functions:\\n<tools>\\n' }}"
    "{%- for tool in tools %}{{- (tool | tojson) + '\\n' }}{%- endfor %}"
    '{{- \'</tools>\\nTo call one, say:\\n<tool_call>\\n{"name": NAME, "arguments": {...}}\\n</tool_call><|end|>\' }}'
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message['role'] not in ['system', 'user', 'assistant', 'tool'] %}"
    "{{- raise_exception('the roles are system, user, assistant and tool') }}{%- endif %}"
    "{%- if message['role'] == 'tool' %}"
    "{{- '<|user|>' if loop.first or messages[loop.index0 - 1]['role'] != 'tool' else '\\n' }}"
    "{{- '<tool_response>\\n' + message['content'] + '\\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1]['role'] != 'tool' %}{{- '<|end|>' }}{%- endif %}"
    "{%- elif not (tools and loop.first and message['role'] == 'system') %}"
    "{{- '<|' + message['role'] + '|>' + (message['content'] or '') }}"
    "{%- for call in message['tool_calls'] or [] %}"
    "{{- '\\n' if message['content'] or not loop.first else '' }}"
    "{{- '<tool_call>\\n{\"name\": ' + (call['function']['name'] | tojson) + ', \"arguments\": ' }}"
    "{%- if call['function']['arguments'] is string %}{{- call['function']['arguments'] }}"
    "{%- else %}{{- call['function']['arguments'] | tojson }}{%- endif %}"
    "{{- '}\\n</tool_call>' }}"
    "{%- endfor %}{{- '<|end|>' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)
"""limpid's own template (see `chat`), for those who read Jinja."""

PLAIN = (
    "{%- for message in messages %}"
    "{{- message['role'] | capitalize + ':' + '\\n' + message['content'] }}"
    "{{- (eos_token if message['role'] == 'assistant' else '') + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- 'Assistant:\\n' }}{%- endif %}"
)
"""For a model that came without one: names before the words, the end-of-text token behind an answer."""

_HIDING = 0xF0000  # the first of the private characters that stand in for special tokens typed in a message


Message = Mapping[str, Any]
"""A role and its content; where the template knows tools, perhaps with tool_calls, or a tool's result."""
Tools = Sequence[Mapping[str, Any]]


def knows_tools(conventions: Conventions) -> bool:
    """Whether the template tells the model of tools."""
    return _mentions_tools(conventions.chat_template)


@cache
def _mentions_tools(source: str) -> bool:
    try:
        tree = _environment().parse(source)
    except jinja2.TemplateSyntaxError:
        return False
    return "tools" in jinja2.meta.find_undeclared_variables(tree)


def write(conventions: Conventions, messages: Sequence[Message], *, asking: bool, tools: Tools = ()) -> str:
    """The conversation as the text that the template makes of it; ``asking``: up to where the assistant speaks.

    Raises:
        LimpidError: the template is faulty, or refuses the conversation (for instance two user messages in a row).
    """
    try:
        return _environment().render(
            conventions.chat_template,
            messages=[_bare(message) for message in messages], add_generation_prompt=asking, documents=None,
            tools=[dict(tool) for tool in tools] or None, **conventions.names,
        )  # fmt: skip
    except Exception as error:  # a template is a program, and may fail in any way
        raise LimpidError(f"this model's chat template cannot write the conversation: {error}") from None


def _bare(message: Message) -> dict[str, Any]:
    """A message as templates know them: with a text, and without what is for training alone."""
    return {key: value for key, value in message.items() if key != "weight"} | {"content": message.get("content") or ""}


def prompt(tokenizer: Tokenizer, conventions: Conventions, messages: Sequence[Message], tools: Tools = ()) -> list[int]:
    """Token ids of a conversation up to where the assistant speaks."""
    return _encode(tokenizer, conventions, messages, asking=True, tools=tools)[0]


def render(
    tokenizer: Tokenizer, conventions: Conventions, messages: Sequence[Message], tools: Tools = ()
) -> tuple[list[int], list[float]]:
    """Token ids of a whole conversation, and 1.0 for each that is the assistant's to produce.

    Those are the assistant's words, its calls of tools, and what the template writes behind them, as far as the end of
    the turn; not of messages whose ``weight`` is 0.

    Raises:
        LimpidError: the template changes what the assistant said, so that its words cannot be found again.
    """
    ids, spans, text = _encode(tokenizer, conventions, messages, asking=False, tools=tools)
    find = _turns if any(message.get("tool_calls") for message in messages) else _answers
    weights = [0.0] * len(ids)
    for message, (start, stop) in find(conventions, messages, tools, text):
        if not message.get("weight", 1):
            continue
        for place, (first, last) in enumerate(spans):
            if start <= first and last <= stop and first < last:
                weights[place] = 1.0
    return ids, weights


def _encode(
    tokenizer: Tokenizer, conventions: Conventions, messages: Sequence[Message], *, asking: bool, tools: Tools = ()
) -> tuple[list[int], list[tuple[int, int]], str]:
    """Ids, the characters each stands for, and the text. Special tokens are the template's, never a message's own."""
    specials = sorted((tokenizer.token_text(i) for i in tokenizer.special_ids), key=len, reverse=True)
    said = list(_strings([list(messages), list(tools)]))
    typed = [s for s in specials if any(s in text for text in said)]
    if not typed:
        text = write(conventions, messages, asking=asking, tools=tools)
        return *tokenizer.encode_spans(text, marked=True), text
    hidden = {special: chr(_HIDING + number) for number, special in enumerate(typed)}
    hide, show = _replacer(hidden), _replacer({stand_in: special for special, stand_in in hidden.items()})
    masked, masked_tools = _mapped(list(messages), hide), _mapped(list(tools), hide)
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    text = ""
    written = write(conventions, masked, asking=asking, tools=masked_tools)
    for piece in re.split(f"({'|'.join(map(re.escape, specials))})", written):
        if piece in specials:
            new, offsets = tokenizer.encode_spans(piece, marked=True)
        else:
            piece = show(piece)
            new, offsets = tokenizer.encode_spans(piece)
        ids += new
        spans += [(len(text) + first, len(text) + last) for first, last in offsets]
        text += piece
    return ids, spans, text


def _strings(value: Any) -> Iterator[str]:
    """Every string in nested lists and tables, keys as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every string in it changed, keys as well."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


Found = list[tuple[Message, tuple[int, int]]]
"""The assistant's messages, and from where to where in the text each stands."""


def _answers(conventions: Conventions, messages: Sequence[Message], tools: Tools, text: str) -> Found:
    """The assistant's turns, each from its first word to the end of the turn, found by a mark in place of its words."""
    marks = [chr(_HIDING + 0x1000 + number) for number in range(len(messages))]
    marked = [{**m, "content": mark} for m, mark in zip(messages, marks, strict=True)]
    frame = write(conventions, marked, asking=False, tools=tools)
    for strip in (str, str.strip):  # many templates strip what was said
        contents = {mark: strip(m["content"]) for m, mark in zip(messages, marks, strict=True)}
        if _replacer(contents)(frame) == text:
            break
    else:
        raise LimpidError(_REWRITES)
    found, shift = [], 0
    for place, character in enumerate(frame):
        if character not in contents:
            continue
        length = len(contents[character])
        start = place + shift
        shift += length - 1
        message = messages[marks.index(character)]
        if message["role"] == "assistant":
            end = text.find(conventions.end_of_turn, start + length)
            found.append((message, (start, end + len(conventions.end_of_turn) if end >= 0 else start + length)))
    return found


def _turns(conventions: Conventions, messages: Sequence[Message], tools: Tools, text: str) -> Found:
    """As `_answers`, where calls of tools are part of what is said: what a turn adds to the text before it.

    A template may write calls only, and none of its words, so that no mark can tell where they stand.
    """
    found: Found = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = write(conventions, messages[:place], asking=True, tools=tools)
        whole = write(conventions, messages[: place + 1], asking=False, tools=tools)
        if not (whole.startswith(before) and text.startswith(whole)):
            raise LimpidError(_REWRITES)
        end = whole.rfind(conventions.end_of_turn, len(before))
        found.append((message, (len(before), end + len(conventions.end_of_turn) if end >= 0 else len(whole))))
    return found


_REWRITES = (
    "this model's chat template rewrites what was said, so its answers cannot be told from the rest; "
    "such a model can answer here, but not be fine-tuned."
)


def _replacer(table: Mapping[str, str]) -> Any:
    pattern = re.compile("|".join(map(re.escape, sorted(table, key=len, reverse=True))))
    return lambda text: pattern.sub(lambda found: table[found[0]], text)


@cache
def _environment() -> Sandbox:
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
    environment.filters["tojson"] = bounded(lambda value, **how: json.dumps(value, ensure_ascii=False, **how))
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


class _Generation(Extension):
    """``{% generation %}...{% endgeneration %}`` marks what the assistant says; its body is written as it is."""

    tags = {"generation"}  # noqa: RUF012 - the library's own way

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
