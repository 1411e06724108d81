"""From docstrings, comments and help topics to plain text that is pleasant to read."""

from __future__ import annotations

import re
import textwrap

LONGEST_LINE = 160

_PUNCTUATION = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "--", "\u2026": "...",
        "\u2022": "*", "\u2192": "->", "\u2212": "-", "\u00a0": " ", "\ufeff": "", "\u200b": "",
    }
)  # fmt: skip
_CONTROL = re.compile(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_ROLE = re.compile(r":(?:[a-z]+:)?[a-z]+:`([^`\n]+)`")
_CODE = re.compile(r"``([^`\n]+)``|`([^`'\n]+)'|`([^`\n]+)`_{0,2}")
_EMPHASIS = re.compile(r"(?<![\w*\\])(\*{1,2})([A-Za-z_][^*\n]*[\w:.)]|[A-Za-z_])\1(?![\w*])")
_LEGAL = re.compile(
    r"copyright|\(c\) *(?:19|20)\d\d|all rights reserved|licen[cs]ed? (?:to|under|agreement)|permission (?:is|to)"
    r"|without (?:any )?warranty|\$(?:id|revision|date|author)\b|see the file licen[cs]e",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"^\W*(?:originally |initial |first )?(?:written|contributed|implemented|created|donated|ported|modified|adapted)"
    r"[\w, ]* by\b|^\W*(?:author|version|maintainer|date|last modified|history|revision)s?\b ?:"
    r"|<[\w.+-]+(?:@| at )[\w.-]+>\.?$|[\w ]+\bmodified by\b",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(r"^ *\.\. +(\w+):: *(.*)$", re.MULTILINE)
_RULE = re.compile(r"^\s*([-=~^*#_+.\"'])\1{2,}\s*\1*$")


def plain(text: str) -> str:
    """The text without reST markup, legal and revision notices, ruled lines, drawings and data; "" if none is left."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs().translate(_PUNCTUATION)
    text = _CONTROL.sub("", text)
    text = _DIRECTIVE.sub(lambda found: f"{found[1].capitalize()}: {found[2]}" if found[2] else "", text)
    text = _ROLE.sub(lambda found: _target(found[1]), text)
    text = _CODE.sub(lambda found: found[1] or found[2] or found[3], text)
    text = _EMPHASIS.sub(lambda found: found[2], text)
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    kept = [paragraph for paragraph in re.split(r"\n\s*\n", text) if not _LEGAL.search(paragraph)]
    lines: list[str] = []
    for paragraph in kept:
        good = [line.rstrip() for line in paragraph.split("\n") if _readable(line)]
        if good and not _looks_like_data(good):
            lines += ["", *good] if lines else good
    return "\n".join(lines).strip("\n").rstrip()


def prose(comment: str) -> str:
    """The comment as sentences, or "" when it is disabled code, a drawing, a heading or a to-do."""
    text = plain(textwrap.dedent(comment))
    if len(text) < 60 or re.search(r"\b(?:XXX|TODO|FIXME|BUG)\b|type: ignore|pragma|coding:", text):
        return ""
    letters = sum(character.isalpha() or character == " " for character in text)
    code = re.findall(
        r"^\s*(?:>>>|def |class |import |from \w+ import|return\b|if .*:$|for .*:$|[\w.]+ = )", text, re.M
    )
    if letters < 0.85 * len(text.replace("\n", "")) or len(code) * 6 > text.count("\n") + 1:
        return ""
    return text if text[-1] in ".:!?)" or len(text) > 200 else ""


def _target(role: str) -> str:
    """What a reST role shows: ``~a.b.C`` is ``C``, ``text <target>`` is ``text``."""
    if role.startswith("~"):
        return role.rsplit(".", 1)[-1]
    return re.sub(r"\s*<[^>]*>$", "", role.lstrip("!"))


def _readable(line: str) -> bool:
    bare = line.strip()
    if not bare or len(line) > LONGEST_LINE or _RULE.match(bare) or _CREDIT.search(bare):
        return False
    if bare.startswith((">>>", "...")):
        return True
    signs = sum(not (character.isalnum() or character == " ") for character in bare)
    foreign = sum(not character.isascii() for character in bare)
    hexadecimal = re.search(r"(?:\\x[0-9a-fA-F]{2}){5}|\b[0-9a-fA-F]{33,}\b|[A-Za-z0-9+/]{60}", bare)
    return not hexadecimal and foreign * 5 <= len(bare) and (len(bare) < 12 or signs * 2 <= len(bare))


def _looks_like_data(lines: list[str]) -> bool:
    """Tables and dumps: four lines or more that are mostly digits and signs."""
    text = "".join("".join(lines).split())
    return len(lines) > 3 and sum(character.isalpha() for character in text) < 0.5 * len(text)
