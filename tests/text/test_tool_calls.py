from __future__ import annotations

import json
import random

import pytest

from limpid.text.tool_calls import CallReader, ToolCall, as_text

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "now", "arguments": {"zone": "北京"}}}
ONE = ToolCall("now", '{"zone": "北京"}')
TAGGED = '<tool_call>\n{"name": "now", "arguments": {"zone": "北京"}}\n</tool_call>'


def read(reader: CallReader, text: str, seed: int | None = None) -> tuple[str, list[ToolCall]]:
    """The whole text, or in pieces of random length."""
    draw = random.Random(seed)
    content, calls = "", []
    while text:
        size = len(text) if seed is None else draw.randint(1, 6)
        more, found = reader.push(text[:size])
        content, calls, text = content + more, calls + found, text[size:]
    more, found = reader.flush()
    return content + more, calls + found


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("no call at all", "no call at all", []),
        (TAGGED, "", [ONE]),
        (f"Let me see.\n{TAGGED}", "Let me see.\n", [ONE]),
        (f"{TAGGED}\n{TAGGED}\n", "", [ONE, ONE]),
        (f"{TAGGED} then\n{TAGGED}", "then\n", [ONE, ONE]),
        (f"One: {TAGGED} two: {TAGGED} done", "One: two: done", [ONE, ONE]),
        (TAGGED.removesuffix("</tool_call>"), "", [ONE]),  # the end of the turn stands for the closing tag
        ("<tool_call>nonsense</tool_call> x", "<tool_call>nonsense</tool_call> x", []),
        ('<tool_call>{"name": "other", "arguments": {}}</tool_call>',) * 2 + ([],),
        ('<tool_call>{"name": "now", "arguments": [1]}</tool_call>',) * 2 + ([],),
        ("<tool_call>{", "<tool_call>{", []),
        ("a < b, <tool", "a < b, <tool", []),
        ("", "", []),
    ],
)
def test_tagged_calls(text: str, content: str, calls: list[ToolCall], seed: int | None) -> None:
    assert read(CallReader({"now"}, tagged=True), text, seed) == (content, calls)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("plain words {x}", "plain words {x}", []),
        ('{"name": "now", "parameters": {"zone": "北京"}}', "", [ONE]),
        ('\n [{"name": "now", "arguments": {"zone": "北京"}}, {"name": "now"}]', "", [ONE, ToolCall("now", "{}")]),
        ('{"name": "other", "parameters": {}}', '{"name": "other", "parameters": {}}', []),
        ('{"answer": 42}', '{"answer": 42}', []),
        ("[1, 2", "[1, 2", []),
    ],
)
def test_bare_calls(text: str, content: str, calls: list[ToolCall], seed: int | None) -> None:
    assert read(CallReader({"now"}, tagged=False), text, seed) == (content, calls)


def test_text_before_a_call_is_shown_at_once() -> None:
    reader = CallReader({"now"}, tagged=True)
    assert reader.push("Let me see <tool") == ("Let me see ", [])
    assert reader.push("box>") == ("<toolbox>", [])


def test_a_template_without_tools_is_told_of_them_in_words() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "noon"},
    ]
    told = as_text(turns, [TOOL])
    assert [turn["role"] for turn in told] == ["system", "user", "assistant", "user"]
    assert told[0]["content"].startswith("Be brief.\n\n")
    assert json.dumps(TOOL) in told[0]["content"]
    assert told[2]["content"] == TAGGED  # what the model is asked to say is what it sees itself say
    assert told[3]["content"] == "<tool_response>\nnoon\n</tool_response>"
    assert [turn["role"] for turn in as_text(turns[1:2], [TOOL])] == ["system", "user"]
    assert as_text(turns[:2], []) == turns[:2]


def test_results_that_follow_each_other_are_one_message() -> None:
    two = [{"role": "tool", "content": "noon"}, {"role": "tool", "content": "rain"}]
    told = as_text([{"role": "user", "content": "?"}, *two], [])
    results = "<tool_response>\nnoon\n</tool_response>\n<tool_response>\nrain\n</tool_response>"
    assert told == [{"role": "user", "content": "?"}, {"role": "user", "content": results}]
