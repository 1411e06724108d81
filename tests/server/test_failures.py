"""Every error's code has its words on the Chinese page."""

from __future__ import annotations

import re
from pathlib import Path

import limpid.server

SERVER = Path(limpid.server.__file__).parent


def test_every_code_is_translated() -> None:
    words = (SERVER / "static" / "i18n" / "zh.js").read_text(encoding="utf-8")
    told = set(re.findall(r'"failure\.(\w+)": "[^"]+"', words)) - {"ours", "yours"}
    source = "\n".join(path.read_text(encoding="utf-8") for path in SERVER.rglob("*.py"))
    named = set(re.findall(r'\bcode="(\w+)"', source))  # ApiError's own keyword
    named |= set(re.findall(r'(?:,\s*"\w+"|\bparam),\s*"([a-z]+(?:_[a-z]+)+)",?\s*\)', source))  # bad_request's third
    named |= {"unknown_url", "method_not_allowed"}  # `for_status`
    named -= {"model_attributes_type"}  # pydantic's
    assert {"context_length_exceeded", "empty_text", "run_locked", "model_not_found"} <= named
    assert named - told == set()
    assert told - named == set()  # and none has words that no error has
