"""What a comparison says: names of its measures, numbers as texts, and notes; for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limpid.stages.report_words import percent

BITS = "bits per byte"
SHARES = ("right", "admitted", "wrong")
MEASURES = (
    ("right", "Right answers", "Share of the questions whose answer can be checked. Higher is better."),
    ("admitted", "Admissions", "Share that says it does not know, where the answer can be known."),
    ("wrong", "Wrong answers", "Neither right nor an admission. Lower is better."),
    ("reward", "Reward", "The judge's number; only differences mean anything. Higher is better."),
    (BITS, "Bits per byte", "Of the pretraining test text: what was forgotten on the way. Lower is better."),
    ("words", "Length", "Words an answer: a judge that likes long answers shows here."),
)
NOTES = (
    (
        "Win rate",
        "For every question the two answers are put side by side: the better one gets 1, a tie 1/2 each. The judge is "
        "a reward model, best one that none of the models was trained by; what can be checked is right over admitted "
        "over wrong.",
    ),
    (
        "[low, high]",
        "A 95% bootstrap interval over the questions, or the windows of text: 95% of the results when they are drawn "
        "again and again. It is paired where two models are compared, so that hard questions are hard for both.",
    ),
    (
        "Bits per byte",
        "How many bits a model needs for a byte of text it has never seen. The change is against the first model.",
    ),
)


def headline(found: Mapping[str, Any]) -> str:
    """The whole in a sentence."""
    judged = f", judged by {found['judge']}" if found["judge"] else ""
    how = "greedy answers" if not found["temperature"] else f"answers drawn at temperature {found['temperature']:g}"
    names = [run["name"] for run in found["runs"]]
    asked = f"{found['questions']:,} questions ({found['prompts']})"
    return f"{', '.join(names[:-1])} and {names[-1]}: {how} to {asked}{judged}."


def cells(name: str, measure: Mapping[str, float]) -> tuple[str, str]:
    """A value and its interval as texts."""
    if name in SHARES:
        return percent(measure["value"], 1), f"[{100 * measure['low']:.1f}, {100 * measure['high']:.1f}]"
    digits = 1 if name == "words" else 3
    return f"{measure['value']:.{digits}f}", f"[{measure['low']:.{digits}f}, {measure['high']:.{digits}f}]"


def win_text(measure: Mapping[str, float]) -> str:
    """A win rate with its interval."""
    return f"{percent(measure['value'], 1)} [{100 * measure['low']:.1f}, {100 * measure['high']:.1f}]"


def change_text(run: Mapping[str, Any]) -> str:
    """By how much its bits per byte are above those of the first model; "" for that one."""
    change = run["bits_per_byte_change"]
    return f"{100 * change:+.1f}%" if change else ""
