from __future__ import annotations

import json
import time
from typing import Any

import pytest

from limpid.server.body import DEPTH, parse
from limpid.server.errors import ApiError


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b" \n", "The body is empty; send a JSON object."),
        (b"[1]", "The body must be a JSON object, not an array."),
        (b"null", "The body must be a JSON object, not null."),
        (b'"a"', "The body must be a JSON object, not a string."),
        (b"7", "The body must be a JSON object, not a number."),
        (b"true", "The body must be a JSON object, not a boolean."),
        (b'{"a": "\xff"}', "The body is not UTF-8 (at byte 7)."),
        ('{"a": 1}'.encode("utf-16"), "The body is not UTF-8 (at byte 0)."),
        (b'{"a": NaN}', "The body is not valid JSON: NaN is no JSON number."),
        (b'{"a": -Infinity}', "The body is not valid JSON: -Infinity is no JSON number."),
        (b'{"a": 1e999}', "The body is not valid JSON: 1e999 is too large a number."),
        (b'{"a": 1, "a": 1}', "The body is not valid JSON: the key 'a' stands twice in one object."),
        (b'{"x": [{"a": 1, "b": 2, "a": 1}]}', "The body is not valid JSON: the key 'a' stands twice in one object."),
        (b'{"a": "\\ud83d"}', "A string holds half of a surrogate pair, which is no character."),
        (b'{"\\udc00": 1}', "A string holds half of a surrogate pair, which is no character."),
        (b"[" * 10_000, f"The body is nested too deep; {DEPTH} levels are taken."),
        (b"[" * 500_000, f"The body is nested too deep; {DEPTH} levels are taken."),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, f"The body is nested too deep; {DEPTH} levels are taken."),
        (b'{"a":' * DEPTH + b"[1]" + b"}" * DEPTH, f"The body is nested too deep; {DEPTH} levels are taken."),
    ],
)
def test_what_is_no_table_is_400(raw: bytes, message: str) -> None:
    began = time.thread_time()
    with pytest.raises(ApiError) as caught:
        parse(raw)
    assert time.thread_time() - began < 1
    assert caught.value.status == 400
    assert caught.value.body == {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    }


@pytest.mark.parametrize(
    "raw", [b'{"a": 1', b'{"a": 1,}', b"{'a': 1}", b'{"a": 1} {"b": 2}', b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json_is_400(raw: bytes) -> None:
    with pytest.raises(ApiError, match="The body is not valid JSON: .+") as caught:
        parse(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"a": [1, 2.5, True, None, {"b": "床前🙂\u0000"}]},
        json.loads('{"a":' * (DEPTH - 1) + "1" + "}" * (DEPTH - 1)),
    ],
)
def test_tables_come_through_as_they_are(table: dict[str, Any]) -> None:
    assert parse(json.dumps(table).encode()) == table
    assert parse(json.dumps(table, ensure_ascii=False).encode()) == table
