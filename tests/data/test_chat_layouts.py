"""Every layout comes out as the same messages, and every fault is told by row and field."""

import json
from typing import Any

import pytest

from limpid.core.errors import LimpidError
from limpid.data.chat_layouts import read_chat

WEIGHT_0 = {"role": "assistant", "content": "你好！", "weight": 0}
TOLD = {"from": "system", "value": "Be brief."}
USER = {"role": "user", "content": "你好"}
ASSISTANT = {"role": "assistant", "content": "你好！"}
SYSTEM = {"role": "system", "content": "Be brief."}
FUNCTION = {"name": "now", "description": "The time.", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {"type": "function", "function": {"name": "now", "arguments": {"zone": "北京"}}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "noon"}


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": [USER, ASSISTANT], "source": "x"}, [USER, ASSISTANT]),
        ({"messages": [SYSTEM, USER, ASSISTANT, USER, ASSISTANT]}, [SYSTEM, USER, ASSISTANT, USER, ASSISTANT]),
        ({"messages": [{**USER, "id": 1}, ASSISTANT]}, [USER, ASSISTANT]),
        ({"messages": [{"role": "developer", "content": "Be brief."}, USER, ASSISTANT]}, [SYSTEM, USER, ASSISTANT]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]},
                          ASSISTANT]},
            [USER, ASSISTANT],
        ),
        ({"messages": [USER, WEIGHT_0, USER, ASSISTANT]}, [USER, WEIGHT_0, USER, ASSISTANT]),
        ({"conversations": [human("你好"), gpt("你好！")]}, [USER, ASSISTANT]),
        ({"conversations": [TOLD, human("你好"), gpt("你好！")]}, [SYSTEM, USER, ASSISTANT]),
        ({"conversations": [human("你好"), gpt("你好！")], "system": "Be brief."}, [SYSTEM, USER, ASSISTANT]),
        ({"conversations": [USER, ASSISTANT]}, [USER, ASSISTANT]),
        ({"messages": [human("你好"), gpt("你好！")]}, [USER, ASSISTANT]),
        ({"prompt": "你好", "completion": "你好！"}, [USER, ASSISTANT]),
        ({"prompt": "你好", "response": "你好！", "system": None}, [USER, ASSISTANT]),
        ({"question": "你好", "answer": "你好！"}, [USER, ASSISTANT]),
        ({"prompt": [SYSTEM, USER], "completion": "你好！"}, [SYSTEM, USER, ASSISTANT]),
        ({"prompt": [USER], "completion": [ASSISTANT]}, [USER, ASSISTANT]),
        ({"instruction": "你好", "input": "", "output": "你好！"}, [USER, ASSISTANT]),
        ({"instruction": "你好", "output": "你好！", "input": None}, [USER, ASSISTANT]),
        (
            {"instruction": "Add", "input": "1 and 2", "output": "3"},
            [{"role": "user", "content": "Add\n\n1 and 2"}, {"role": "assistant", "content": "3"}],
        ),
        (
            {"instruction": "你好", "output": "你好！", "system": "Be brief.", "history": [["你好", "你好！"]]},
            [SYSTEM, USER, ASSISTANT, USER, ASSISTANT],
        ),
    ],
)  # fmt: skip
def test_layouts(row: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert read_chat(row, "x").messages == expected
    assert read_chat(row, "x").tools == []


@pytest.mark.parametrize("arguments", [{"zone": "北京"}, json.dumps({"zone": "北京"})])
def test_openai_tools(arguments: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}
    turns = [
        USER, {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "noon"}, ASSISTANT,
    ]  # fmt: skip
    chat = read_chat({"messages": turns, "tools": [TOOL]}, "x")
    called = {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "c"}]}
    assert chat.messages == [USER, called, {**RESULT, "tool_call_id": "c"}, ASSISTANT]
    assert chat.tools == [TOOL]


def test_sharegpt_tools() -> None:
    turns = [
        human("你好"), {"from": "function_call", "value": json.dumps({"name": "now", "arguments": {"zone": "北京"}})},
        {"from": "observation", "value": "noon"}, gpt("你好！"),
    ]  # fmt: skip
    chat = read_chat({"conversations": turns, "tools": json.dumps([FUNCTION])}, "x")
    assert chat.messages == [USER, CALLING, RESULT, ASSISTANT]
    assert chat.tools == [TOOL]


def test_several_results_and_a_call_at_the_end() -> None:
    chat = read_chat({"messages": [USER, CALLING, RESULT, RESULT, CALLING]}, "x")
    assert chat.messages == [USER, CALLING, RESULT, RESULT, CALLING]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": []}, "'messages' of FILE:2 must be a list with something in it"),
        ({"messages": "x"}, "'messages' of FILE:2 must be a list with something in it"),
        ({"messages": ["x"]}, "Message 1 of FILE:2 must be an object"),
        ({"messages": [USER]}, "an assistant's answer must end it"),
        ({"messages": [ASSISTANT]}, "by the assistant where the user's turn is"),
        ({"messages": [USER, USER, ASSISTANT]}, "Message 2 of"),
        ({"messages": [USER, SYSTEM, ASSISTANT]}, "by the system where the assistant's turn is"),
        ({"messages": [USER, ASSISTANT, RESULT, ASSISTANT]}, "by the tool where the user's turn is"),
        ({"messages": [USER, CALLING, USER, ASSISTANT]}, "by the user where the tool's turn is"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "'bot'"),
        ({"messages": [{"role": "user"}]}, "must have 'role' and 'content'"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "(assistant) is empty or no text"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "(assistant) is empty or no text"),
        ({"messages": [USER, {"role": "assistant", "content": "\ud83d"}]}, "half of a surrogate pair"),
        ({"messages": [USER, {**ASSISTANT, "weight": 0.5}]}, "'weight' of Message 2 of FILE:2 must be 0"),
        ({"messages": [{**USER, "tool_calls": [CALL]}, ASSISTANT]}, "only the assistant calls tools"),
        ({"messages": [USER, {**CALLING, "tool_calls": [{"id": "x"}]}]}, "a call without a function's name"),
        ({"messages": [USER, {**CALLING, "tool_calls": [{"name": "f", "arguments": "{"}]}]}, "is no JSON"),
        ({"messages": [USER, {**CALLING, "tool_calls": [{"name": "f", "arguments": [1]}]}]}, "of f are no JSON object"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ASSISTANT]}, "a part that is no text"),
        ({"messages": [USER, ASSISTANT], "tools": "["}, "'tools' of FILE:2 is no JSON"),
        ({"messages": [USER, ASSISTANT], "tools": [{}]}, "'tools' of FILE:2 holds something without a function's name"),
        ({"conversations": [{"from": "humn", "value": "x"}]}, "Did you mean 'human'"),
        ({"conversations": [{"from": "human"}]}, "must have 'from' and 'value'"),
        ({"conversations": [human("x"), gpt("")]}, "Message 2 of FILE:2 (assistant) is empty"),
        ({"conversations": [human("x"), {"from": "function_call", "value": "no"}]}, "'value' of Message 2 of FILE:2"),
        ({"messages": [SYSTEM, USER, ASSISTANT], "system": "x"}, "keep one of them"),
        ({"prompt": "x"}, "FILE:2 has a 'prompt' but no 'completion' or 'response'"),
        ({"question": "x"}, "FILE:2 has a 'question' but no 'answer'"),
        ({"prompt": 1, "completion": "x"}, "'prompt' of FILE:2 is neither a text nor a list"),
        ({"prompt": "x", "completion": 1}, "'completion' of FILE:2 is neither a text nor a list"),
        ({"prompt": "x", "completion": ""}, "(assistant) is empty or no text"),
        ({"instruction": 1, "output": "x"}, "'instruction' of FILE:2 must be a text"),
        ({"instruction": "x", "input": 1, "output": "x"}, "'input' of FILE:2 must be a text"),
        ({"instruction": "x", "output": ""}, "(assistant) is empty or no text"),
        ({"instruction": "x", "output": "x", "history": [["a"]]}, "'history' of FILE:2"),
        ({"text": "x"}, "no conversation (it has: text)"),
    ],
)
def test_bad_rows_are_named_by_line_and_field(row: dict[str, Any], expected: str) -> None:
    with pytest.raises(LimpidError) as caught:
        read_chat(row, "FILE:2")
    assert expected in str(caught.value)
    assert "FILE:2" in str(caught.value)
    assert "\n" not in str(caught.value)
