"""Questions for RL: prompts with the fields that rewards look at, as random-access streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from limpid.core.errors import LimpidError
from limpid.core.seeding import generator
from limpid.data import addition
from limpid.data.batches import EpochOrder
from limpid.data.catalogue import located
from limpid.data.conversations import Conversation, Dialogues, Message
from limpid.data.corpus import files_by_split
from limpid.data.hub import open_hub
from limpid.data.sources import find_files, is_whole, records

HELD_OUT_SHARE = 0.05
PROMPTS = ("messages", "prompt", "question", "instruction")
ANSWERS = ("expected", "completion", "response", "answer", "output", "solution")


class Question(NamedTuple):
    """messages: the conversation up to and including the user's question. row: all fields of the data, and
    ``expected`` where one of them is a right answer."""

    messages: tuple[Message, ...]
    row: Mapping[str, Any]

    @property
    def expected(self) -> str | None:
        """A right answer, if there is one."""
        value = self.row.get("expected")
        return None if value is None else str(value)


class Stream(Protocol):
    """An endless random-access stream: question ``index`` is a pure function of the seed."""

    def __getitem__(self, index: int) -> Question: ...


class Questions(NamedTuple):
    """training: what answers are drawn for. demonstrations: questions whose expected answers may be shown. held_out:
    none of them is in training."""

    training: Stream
    demonstrations: Stream
    held_out: Sequence[Question]

    def only(self, fits: Callable[[Question], bool]) -> tuple[Questions, int]:
        """Without the rows of files that do not fit, and how many those were.

        Raises:
            LimpidError: none is left to train or to evaluate on.
        """
        training, demonstrations = _only(self.training, fits), _only(self.demonstrations, fits)
        held_out = [question for question in self.held_out if fits(question)]
        dropped = len(self.held_out) - len(held_out)
        if isinstance(training, _Rows) and isinstance(self.training, _Rows):
            dropped += len(self.training.rows) - len(training.rows)
            if not training.rows or not held_out:
                raise LimpidError(f"{dropped} prompts are too long for the model's context, and none is left.")
        return Questions(training, demonstrations, held_out), dropped


def read_questions(path: str, held_out: str | None, seed: int, section: str = "grpo") -> Questions:
    """The questions of ``python-docs``, ``addition``, or of rows: a file, folder or glob (JSONL, JSON, CSV, Parquet),
    or ``hub:OWNER/NAME``.

    A row's prompt is in the first there is of `PROMPTS`: a text, or a list of messages of which a last one by the
    assistant is its expected answer; else that is in the first there is of `ANSWERS`. GSM8K's rows are such.

    A folder whose file names say train and test is taken at its word, and one that is not here is looked for in the
    folders of data sets (``$LIMPID_DATA_DIR`` first).

    held_out: a path as well; None: what a folder names for testing, else a twentieth of the rows, drawn by the seed
    (not of python-docs and addition, which know what they keep back). section: the recipe's, for messages.

    Raises:
        LimpidError: with file and line, a row without a prompt; no rows; none left to train on.
    """
    if path == "python-docs":
        stream = Dialogues(seed)
        asked = [of_conversation(c) for kind in ("module", "unknown") for c in stream.evaluation(kind, 100)]
        return Questions(_Dialogues(stream, "rl_prompts"), _Dialogues(stream, "training"), asked)
    if path == "addition":
        pairs = [[_sum(a, b) for a, b in addition.sums(held_out=held)] for held in (False, True)]
        training = _Rows(pairs[0], seed)
        return Questions(training, _Rows(pairs[0], seed + 1), pairs[1])
    rows, kept = _split(path, f"{section}.path")
    if held_out is not None:
        kept = _split(held_out, f"{section}.held_out")[0]
    elif not kept:
        order = generator(seed, "held out questions").permutation(len(rows))
        count = max(1, round(HELD_OUT_SHARE * len(rows)))
        kept, rows = [rows[i] for i in order[:count]], [rows[i] for i in sorted(order[count:])]
    if not rows:
        raise LimpidError(f"{path} has too few rows to keep one for evaluation: give more, or a held_out file.")
    return Questions(_Rows(rows, seed), _Rows([q for q in rows if q.expected is not None], seed + 1), kept)


def of_conversation(conversation: Conversation) -> Question:
    """A graded conversation as a question: row = {"kind", "subject", "expected"}."""
    row = {"kind": conversation.kind, "subject": conversation.subject, "expected": conversation.expected}
    return Question(conversation.prompt, row)


def question_of(row: Mapping[str, Any], source: str) -> Question:
    """A row of a file as a question; see `read_questions`."""
    key = next((name for name in PROMPTS if row.get(name)), None)
    if key is None:
        have = ", ".join(row) or "no fields"
        raise LimpidError(f"{source} has no prompt (it has: {have}): one of {', '.join(PROMPTS)} is wanted.")
    told = row[key]
    messages: list[Message] = [{"role": "user", "content": told}] if isinstance(told, str) else _checked(told, source)
    answers = (row[name] for name in ANSWERS if name != key and row.get(name) is not None)
    expected = next((answer for answer in answers if str(answer).strip()), None)
    if messages[-1]["role"] == "assistant":
        expected, messages = messages[-1]["content"], messages[:-1]
    if not messages or messages[-1]["role"] != "user" or not str(messages[-1]["content"]).strip():
        raise LimpidError(f"{source}: the prompt must end with a message of the user that says something.")
    if isinstance(told, str) and isinstance(row.get("input"), str) and row["input"] and key == "instruction":
        messages = [{"role": "user", "content": f"{told}\n\n{row['input']}"}]
    for text in (*(message["content"] for message in messages), str(expected)):
        if not is_whole(text):
            raise LimpidError(f"{source} holds half of a surrogate pair, which is no character: mend the row.")
    return Question(tuple(messages), {**row, "expected": expected} if expected is not None else dict(row))


class _Dialogues:
    def __init__(self, stream: Dialogues, method: str) -> None:
        self._ask = getattr(stream, method)

    def __getitem__(self, index: int) -> Question:
        return of_conversation(self._ask(index))


def _only(stream: Stream, fits: Callable[[Question], bool]) -> Stream:
    return _Rows(list(filter(fits, stream.rows)), stream.seed) if isinstance(stream, _Rows) else stream


class _Rows:
    """Each row once an epoch, in an order drawn from (seed, epoch)."""

    def __init__(self, rows: Sequence[Question], seed: int) -> None:
        self.rows, self.seed = rows, seed
        self._order = EpochOrder(len(rows), seed, "questions")

    def __getitem__(self, index: int) -> Question:
        if not self.rows:
            raise LimpidError("no row has an expected answer, so none can be shown: set demonstrations = 0.")
        return self.rows[self._order[index][1]]


def _sum(a: int, b: int) -> Question:
    return Question((addition.question(a, b),), {"a": a, "b": b, "expected": str(a + b)})


def _split(path: str, key: str) -> tuple[list[Question], list[Question]]:
    """The rows to train on, and those that the names of a folder's files keep back."""
    if path.startswith("hub:"):
        read = {
            split: [question_of(row, f"{path}/{split}, row {number}") for number, row in enumerate(rows, start=1)]
            for split, rows in open_hub(path, key).items()
        }
    else:
        where = located(path)
        files = find_files(where, key)
        named = (files_by_split(files) if Path(where).expanduser().is_dir() else None) or {"train": files}
        read = {
            split: [question_of(record.fields, record.source) for file in some for record in records(file)]
            for split, some in named.items()
        }
    if not read["train"]:
        raise LimpidError(f"{path} holds no rows: a row has one of {', '.join(PROMPTS)}.")
    return read["train"], read.get("test") or read.get("validation") or []


def _checked(told: Any, source: str) -> list[Message]:
    fine = isinstance(told, list) and all(
        isinstance(m, dict) and m.get("role") in ("system", "user", "assistant") and isinstance(m.get("content"), str)
        for m in told
    )
    if not fine:
        raise LimpidError(f"{source}: the prompt is neither a text nor a list of messages with 'role' and 'content'.")
    return [{"role": m["role"], "content": m["content"]} for m in told]
