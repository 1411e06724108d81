"""What the report says: names, numbers and sentences for a reader who knows how ChatGPT works but not this house."""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

STAGES = ("tokenizer", "pretrain", "sft", "reward", "dpo", "grpo", "ppo")
TITLES = {
    "tokenizer": "Tokenizer",
    "pretrain": "Pretraining",
    "sft": "Fine-tuning",
    "reward": "Reward model",
    "dpo": "Preferences",
    "grpo": "Reinforcement learning",
    "ppo": "Reinforcement learning, PPO",
}
AFTER = {
    "tokenizer": "tokenizer",
    "pretrain": "pretraining",
    "sft": "fine-tuning",
    "reward": "the reward model",
    "dpo": "preferences",
    "grpo": "RL",
    "ppo": "PPO",
}
TAGLINES = {
    "pretrain": "it has only read, and continues text",
    "sft": "it has imitated right answers",
    "dpo": "it has seen better and worse answers",
    "grpo": "it has been graded on its own answers",
    "ppo": "likewise, token by token",
}
GRADES = {"right": "✓", "admitted": "~", "wrong": "✗"}
KINDS = {
    "description": "What does this function do?",
    "module": "Which module holds it?",
    "signature": "What is its signature?",
    "arithmetic": "Sums of two numbers",
    "unknown": "Names that do not exist",
    "greeting": "Greetings",
    "identity": "Who are you?",
    "held_out": "Functions it was never asked about",
}
NOTES = (
    (
        "Bits per byte",
        "How many bits the model needs for a byte of text it has never seen, were it used to compress that text. Lower "
        "is better; raw text costs 8. It does not depend on the tokenizer, so different vocabularies can be compared.",
    ),
    (
        "[low, high]",
        "A 95% bootstrap interval: the test questions (or windows of text) are drawn again and again with replacement; "
        "95% of the results fall inside. It tells how far luck in the choice of test items reaches, and nothing "
        "about another seed or another corpus. Intervals that do not overlap are a difference worth believing.",
    ),
    (
        "Share of matmul rate",
        "The arithmetic of training, counted as 6 × matmul parameters + 12 × H × C × T × layers FLOPs a token (heads, "
        "head width, context), divided by the rate of one large matrix product in the same number format, measured on "
        "this machine in the same run. In RL the time includes sampling the answers, whose arithmetic is not counted.",
    ),
    (
        "Right, admitted, wrong",
        "Right is the expected answer, character for character. Admitted says that it does not know the name; for a "
        "name that does not exist, that is the right answer. Everything else is wrong. Questions are in phrasings, and "
        "sums and made-up names among those, that training never used.",
    ),
)


class Row(NamedTuple):
    """One line of a table of measures: a label, and each stage's {"value", "low", "high"}."""

    label: str
    by_stage: dict[str, dict[str, float | None]]


def count(value: float | None) -> str:
    """3686400 -> 3.69M."""
    if value is None:
        return "–"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:#.3g}".rstrip(".") + unit
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """251.3 -> 4 min 11 s."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def percent(share: float | None, digits: int = 0) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def size(value: float | None) -> str:
    """Bytes, in powers of ten."""
    if value is None:
        return "–"
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def is_share(name: str) -> bool:
    """Whether a measure is a share of questions ("module: right")."""
    return name.rpartition(": ")[2] in GRADES and ": " in name


def value_text(name: str, measure: dict[str, float | None]) -> str:
    """The value of a measure alone."""
    value = measure["value"]
    return percent(value, 1) if is_share(name) else "–" if value is None else f"{value:.3f}"


def interval_text(name: str, measure: dict[str, float | None]) -> str:
    """Its interval, "[92.3, 95.8]", or nothing where it has none."""
    low, high = measure["low"], measure["high"]
    if low is None or high is None:
        return ""
    return f"[{100 * low:.1f}, {100 * high:.1f}]" if is_share(name) else f"[{low:.3f}, {high:.3f}]"


def reading(report: dict[str, Any]) -> list[Row]:
    """Bits per byte by stage, then the baselines: one row each."""
    rows, baselines = [], []
    for stage in report["stages"]:
        if not any(name.endswith("bits per byte") for name in stage["measures"]):
            continue  # its baselines, if it has any, are of something else
        for name, measure in stage["measures"].items():
            if name.endswith("bits per byte"):
                label = f"After {AFTER[stage['name']]}" + (
                    "" if name.startswith("test") else f" ({name.split()[0]} text)"
                )
                rows.append(Row(label, {stage["name"]: measure}))
        for name, value in stage.get("baselines", {}).items():
            baselines.append(Row(name, {"": {"value": value, "low": None, "high": None}}))
    return rows + baselines


def answering(report: dict[str, Any], grade: str) -> list[Row]:
    """The share of answers with this grade, a row for each kind of question."""
    rows: dict[str, Row] = {}
    for stage in report["stages"]:
        for name, measure in stage["measures"].items():
            kind, _, found = name.rpartition(": ")
            if found == grade and kind:
                rows.setdefault(kind, Row(KINDS.get(kind, kind), {})).by_stage[stage["name"]] = measure
    order = [*KINDS, *rows]
    return [rows[kind] for kind in sorted(rows, key=order.index)]


def others(report: dict[str, Any]) -> list[Row]:
    """The measures that are neither bits per byte nor right or wrong answers."""
    rows: dict[str, Row] = {}
    for stage in report["stages"]:
        for name, measure in stage["measures"].items():
            if not name.endswith("bits per byte") and not (is_share(name) and not name.endswith(": admitted")):
                rows.setdefault(name, Row(name, {})).by_stage[stage["name"]] = measure
    return list(rows.values())


def stages_of(rows: list[Row]) -> list[str]:
    """The stages that have a column in these rows, in order."""
    return [stage for stage in STAGES if any(stage in row.by_stage for row in rows)]


def story(stage: dict[str, Any], report: dict[str, Any]) -> str:
    """A sentence or two: what the stage is for, and what it changed, in its own numbers."""
    tell = {
        "tokenizer": _tokenizer, "pretrain": _pretrain, "sft": _sft, "reward": _reward, "dpo": _dpo, "grpo": _rl,
        "ppo": _rl,
    }[stage["name"]]  # fmt: skip
    text = tell(stage, {s["name"]: s for s in report["stages"]})
    return text if stage["finished"] else f"{text} It was cut short after step {stage['steps']}."


def _tokenizer(stage: dict[str, Any], _: dict[str, Any]) -> str:
    text = "Learns which pieces text is made of, because a model reads numbers, not letters."
    if stage.get("vocab_size") and stage.get("bytes_per_token"):
        text = (
            f"Learns {stage['vocab_size']:,} pieces that text is made of, so that the model reads "
            f"{stage['bytes_per_token']:.1f} bytes at a time instead of one."
        )
    return text


def _pretrain(stage: dict[str, Any], _: dict[str, Any]) -> str:
    text = "Learns the language by guessing the next piece of real text, over and over"
    bits = _bits(stage)
    if bits is None:
        return f"{text}; the result continues text but does not answer."
    text += f": from the 8 bits that a byte costs raw to {bits:.2f} on text it has never seen"
    if stage.get("baselines"):
        name, best = min(stage["baselines"].items(), key=lambda pair: pair[1])
        text += f" (the best plain method beside it, {name}, needs {best:.2f})"
    return f"{text}. It continues text; it does not answer yet."


def _sft(stage: dict[str, Any], stages: dict[str, Any]) -> str:
    text = "Learns to answer by imitating right answers"
    shares = [
        m["value"] for name, m in stage["measures"].items() if name.endswith(": right") and "held_out" not in name
    ]
    if shares:
        text += (
            f": {percent(min(shares))} to {percent(max(shares))} right by kind of question, in phrasings never trained"
        )
    before, after = _bits(stages.get("pretrain", {})), _bits(stage)
    if before is None or after is None:
        return f"{text}."
    forgot = "a little of that is forgotten" if after > before else "nothing of that is forgotten"
    return f"{text}. On plain text it went from {before:.2f} to {after:.2f} bits per byte: {forgot}."


def _reward(stage: dict[str, Any], _: dict[str, Any]) -> str:
    text = "A copy of the model learns to say which of two answers is better, as a number for each"
    accuracy, error = stage["measures"].get("accuracy"), stage["measures"].get("calibration error")
    if accuracy:
        text += f": it puts {percent(accuracy['value'], 1)} of held-out pairs in the right order"
    if error:
        text += f", and is off by {percent(error['value'], 1)} on average when it says how sure it is"
    return f"{text}."


def _dpo(stage: dict[str, Any], stages: dict[str, Any]) -> str:
    text = "Sees a better and a worse answer to each question, and moves from the worse to the better one"
    return f"{text}{_invented(stage, stages)}."


def _rl(stage: dict[str, Any], stages: dict[str, Any]) -> str:
    text = "Answers on its own, is rewarded or not, and does more of what was rewarded"
    return f"{text}{_invented(stage, stages)}."


def _invented(stage: dict[str, Any], stages: dict[str, Any]) -> str:
    """What became of answers about names that do not exist."""
    before = stages.get("sft", {}).get("measures", {}).get("unknown: wrong")
    after = stage["measures"].get("unknown: wrong")
    if not (before and after):
        return ""
    change = f"{percent(before['value'], 1)} to {percent(after['value'], 1)}"
    return f": wrong answers about names that do not exist went from {change}"


def _bits(stage: dict[str, Any]) -> float | None:
    found = [m["value"] for name, m in stage.get("measures", {}).items() if name.endswith("bits per byte")]
    return found[0] if found else None


def machine_line(report: dict[str, Any]) -> str:
    """The machine and the versions, in a line."""
    found = report["machine"]
    dtypes = {stage["dtype"] for stage in report["stages"] if stage.get("dtype")}
    parts = [
        f"{found['cpu']}, {found['cores']} core{'s' if found['cores'] != 1 else ''}",
        f"{size(found['memory_bytes'])} memory" if found.get("memory_bytes") else None,
        found.get("gpu"),
        found["os"],
        f"Python {found['python']}",
        f"PyTorch {found['torch']}" if found.get("torch") else None,
        f"limpid {found['limpid']}",
        f"computed in {' and '.join(sorted(dtypes))}" if dtypes else None,
    ]
    return " · ".join(part for part in parts if part)


def printable(text: str, limit: int = 600) -> str:
    """Text by a model made fit to print: no control or direction marks but line ends and tabs, and no endless tail."""
    kept = "".join("\N{REPLACEMENT CHARACTER}" if _unprintable(c) else c for c in text)
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def _unprintable(character: str) -> bool:
    if unicodedata.category(character) in ("Cc", "Cs"):
        return character not in "\n\t"
    turns_direction = unicodedata.bidirectional(character) in (
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )
    return turns_direction or character in "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
