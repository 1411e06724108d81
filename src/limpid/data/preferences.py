r"""Preferences: a prompt with a better and a worse answer. Read from files of every layout that is in use.

A row is one of

- ``{"prompt", "chosen", "rejected"}``, each a text or a list of messages; answers given as whole dialogues repeat the
  prompt, which is then taken off them. Instead of a prompt there may be a ``question``, an ``instruction`` with its
  ``input``, or ``conversations`` (ShareGPT's messages); a ``system`` message may stand beside each;
- ``{"chosen", "rejected"}`` alone: two whole dialogues that differ in the last answer.

Wherever a text stands for several turns it is hh-rlhf's: they begin with ``\n\nHuman:`` and ``\n\nAssistant:`` (Bai
et al. 2022).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator
from limpid.data.catalogue import located
from limpid.data.chat_layouts import SPEAKERS
from limpid.data.corpus import files_by_split
from limpid.data.document import Split
from limpid.data.hub import open_hub
from limpid.data.sources import Record, find_files, is_whole, records
from limpid.text.chat import ROLES, Message

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
SHAPES = (
    '{"prompt", "chosen", "rejected"} (texts or lists of messages), or {"chosen", "rejected"} with whole dialogues '
    "(lists of messages, or texts of \\n\\nHuman: and \\n\\nAssistant: turns)"
)
HELD_OUT = 0.1
"""The share of the training prompts that is held out where no file is named for testing."""

PROMPTS = ("prompt", "question", "instruction", "conversations")
SAME, EMPTY, APART = "the same answer twice", "an empty answer", "other turns before the answer"
"""Why a pair is left out: it teaches nothing, or says two things at once."""


class Preference(NamedTuple):
    """Two answers to one prompt, the better one first.

    prompt: the messages up to the user's last. kind: what measures are told apart by; "" where nothing says.
    """

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    kind: str = ""


class Read(NamedTuple):
    """The pairs, and how many were left out, by reason."""

    pairs: list[Preference]
    left_out: Counter[str]


def read_preferences(path: str) -> Read:
    """The pairs of a file, folder or glob, in order; ``kind`` is a row's ``source`` or ``kind`` where it has one.

    Pairs that teach nothing are left out and counted: equal answers (but for outer white space), empty answers, and
    whole dialogues that differ before the last answer.

    Raises:
        LimpidError: a row that is no preference (file, line and field), or no pair left.
    """
    return _read(_records(find_files(path, "path")), path)


def preference_splits(path: str, key: str = "reward.path") -> tuple[dict[Split, list[Preference]], Counter[str]]:
    """(train, validation and test pairs, what was left out of all).

    A folder whose file names say train and test is taken at its word; elsewhere prompts are held out, a tenth to
    validate and a tenth to test, and where there is a test but no validation, that tenth of training. All pairs of a
    prompt stand on one side. What is not there is looked for in the folders of data sets (``$LIMPID_DATA_DIR`` first);
    ``hub:OWNER/NAME`` is a data set of the hub. key: the setting that ``path`` stands in, for messages.

    Raises:
        LimpidError: as `read_preferences`; or too few prompts to hold some out.
    """
    path = located(path)
    if path.startswith("hub:"):
        read = {split: _read(_streamed(rows, f"{path}/{split}"), path) for split, rows in open_hub(path, key).items()}
    else:
        found = find_files(path, key)
        named = (files_by_split(found) if Path(path).expanduser().is_dir() else None) or {"train": found}
        read = {split: _read(_records(files), ", ".join(map(str, files))) for split, files in named.items()}
    left_out = sum((each.left_out for each in read.values()), Counter[str]())
    splits = {split: each.pairs for split, each in read.items()}
    if "validation" not in splits:
        parts = held_out_prompts(splits["train"], path, 1 if "test" in splits else 2)
        splits |= dict(zip(("train", "validation", "test"), parts, strict=False))
    return {
        "train": splits["train"],
        "validation": splits["validation"],
        "test": splits.get("test", splits["validation"]),
    }, left_out


def held_out_prompts(pairs: list[Preference], path: str, parts: int) -> list[list[Preference]]:
    """[training, then ``parts`` times a tenth of the prompts with all their pairs], each in the order given.

    Raises:
        LimpidError: too few prompts for that.
    """
    asked = {prompt_key(pair): None for pair in pairs}
    share = max(1, round(HELD_OUT * len(asked)))
    if len(asked) <= parts * share:
        raise LimpidError(f"{path} holds pairs of {len(asked)} prompts: too few to hold some out; bring more.")
    order = [list(asked)[i] for i in generator(0, "held out").permutation(len(asked))]
    side = {key: min(place // share, parts) for place, key in enumerate(order)}  # the last number is training
    groups: list[list[Preference]] = [[] for _ in range(parts + 1)]
    for pair in pairs:
        groups[side[prompt_key(pair)]].append(pair)
    return [groups[parts], *groups[:parts]]


def prompt_key(pair: Preference) -> str:
    """What pairs of one prompt have in common."""
    return repr([(m["role"], m["content"]) for m in pair.prompt])


def _records(files: Sequence[Path]) -> Iterator[Record]:
    for file in files:
        if not file.name.lower().removesuffix(".gz").endswith(ENDINGS):
            raise LimpidError(
                f"{file} is no file of preferences: .jsonl, .json, .csv, .tsv (each may be .gz) or .parquet is wanted."
            )
        yield from records(file)


def _streamed(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[Record]:
    yield from (Record(row, f"{name}, row {number}") for number, row in enumerate(rows, start=1))


def _read(rows: Iterable[Record], path: str) -> Read:
    pairs: list[Preference] = []
    left_out: Counter[str] = Counter()
    for record in rows:
        found = _preference({k: v for k, v in record.fields.items() if v is not None}, record.source)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            pairs.append(found)
    if not pairs:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise LimpidError(f"{path} holds no preferences{f' ({reasons})' if reasons else ''}: a row is {SHAPES}.")
    return Read(pairs, left_out)


def _preference(row: Mapping[str, Any], source: str) -> Preference | str:
    """The row's pair, or why it is to be left out."""
    missing = [field for field in ("chosen", "rejected") if field not in row]
    if missing:
        there = ", ".join(row) or "no fields"
        raise LimpidError(f"{source} has no '{missing[0]}' (it has: {there}): a row is {SHAPES}.")
    asked = next((field for field in PROMPTS if field in row), None)
    if asked is not None:
        prompt = _prompt(row, asked, source)
        answers = [_answer(row[field], prompt, field, source) for field in ("chosen", "rejected")]
        if any(answer is None for answer in answers):
            return APART
        chosen, rejected = (answer or "" for answer in answers)
    else:
        first, second = (_dialogue(row[field], field, source) for field in ("chosen", "rejected"))
        if first[:-1] != second[:-1]:
            return APART
        prompt, chosen, rejected = first[:-1], first[-1]["content"], second[-1]["content"]
    if not chosen.strip() or not rejected.strip():
        return EMPTY
    if chosen.strip() == rejected.strip():
        return SAME
    kind = row.get("kind") or row.get("source") or ""
    return Preference(prompt, chosen, rejected, kind if isinstance(kind, str) else "")


def _prompt(row: Mapping[str, Any], field: str, source: str) -> tuple[Message, ...]:
    value = row[field]
    if field == "instruction" and row.get("input"):
        asked = [_text(row[part], f"'{part}' of {source}") for part in ("instruction", "input")]
        value = "\n\n".join(asked)
    if isinstance(value, str):
        turns = list(_turns(value))  # hh-rlhf's text, up to the mark after which the assistant speaks
        if turns and turns[-1]["role"] == "assistant" and not turns[-1]["content"]:
            turns.pop()
        value = turns or [{"role": "user", "content": value}]
    messages = messages_of(value, field, source)
    if row.get("system") and messages[0]["role"] != "system":
        messages = ({"role": "system", "content": _text(row["system"], f"'system' of {source}")}, *messages)
    if messages[-1]["role"] not in ("user", "tool"):
        raise LimpidError(
            f"'{field}' of {source} ends with a message by the {messages[-1]['role']}: the user's must end it, since "
            "an answer follows."
        )
    return messages


def _answer(value: Any, prompt: tuple[Message, ...], field: str, source: str) -> str | None:
    """The answer as a text; None where a whole dialogue does not begin with the prompt."""
    if isinstance(value, str):
        return _text(value, f"'{field}' of {source}")
    messages = messages_of([value] if isinstance(value, Mapping) else value, field, source)
    if messages[-1]["role"] != "assistant":
        raise LimpidError(f"'{field}' of {source} ends with a message by the {messages[-1]['role']}: an answer must.")
    return messages[-1]["content"] if len(messages) == 1 or messages[:-1] == prompt else None


def _dialogue(value: Any, field: str, source: str) -> tuple[Message, ...]:
    """A whole dialogue that ends with an answer."""
    if isinstance(value, str):
        value = list(_turns(_text(value, f"'{field}' of {source}")))
        if not value:
            raise LimpidError(
                f"'{field}' of {source} is a text without \\n\\nHuman: and \\n\\nAssistant: turns, and the row has no "
                f"'prompt': a row is {SHAPES}."
            )
    messages = messages_of(value, field, source)
    if messages[-1]["role"] != "assistant" or len(messages) < 2:
        raise LimpidError(f"'{field}' of {source} must be a dialogue that ends with the assistant's answer.")
    return messages


def _turns(text: str) -> Iterator[dict[str, str]]:
    """The turns of hh-rlhf's text."""
    parts = re.split(r"(?:\A|\n\n)(Human|Assistant):", text)
    if parts[0].strip():
        return
    for speaker, said in zip(parts[1::2], parts[2::2], strict=True):
        yield {"role": "user" if speaker == "Human" else "assistant", "content": said.strip()}


def messages_of(value: Any, field: str, source: str) -> tuple[Message, ...]:
    """Checked messages with nothing but role and content; an answer (the assistant's last message) may be empty."""
    if not isinstance(value, list) or not value:
        raise LimpidError(f"'{field}' of {source} must be a text, or a list of messages with something in it.")
    found: list[Message] = []
    for number, message in enumerate(value, start=1):
        where = f"message {number} of '{field}' of {source}"
        if isinstance(message, Mapping) and "from" in message and "value" in message:
            message = {"role": SPEAKERS.get(message["from"], message["from"]), "content": message["value"]}
        if not isinstance(message, Mapping) or "role" not in message or "content" not in message:
            raise LimpidError(f"{where} must have 'role' and 'content'.")
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise LimpidError(f"{where} has the role {str(role)[:40]!r}; it must be one of {ROLES}.")
        if role == "system" and number > 1:
            raise LimpidError(f"{where} is by the system, which speaks first or not at all.")
        _text(content, where)
        if not content.strip() and not (role == "assistant" and number == len(value)):
            raise LimpidError(f"{where} ({role}) is empty.")
        found.append({"role": role, "content": content})
    return tuple(found)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise LimpidError(f"{where} is {type(value).__name__} {str(value)[:40]!r}: a text is wanted.")
    if not is_whole(value):
        raise LimpidError(f"{where} holds half of a surrogate pair, which is no character: mend the row.")
    return value
