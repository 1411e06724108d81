"""Questions about Python's own documentation, with their right answers: for fine-tuning, RL and evaluation."""

from limpid.data.conversations.answers import ADMISSION
from limpid.data.conversations.dialogues import (
    ASKED_OF_NAMES,
    EVALUATIONS,
    FAKE_NAMES,
    MIXTURE,
    RL_MIXTURE,
    Conversation,
    Dialogues,
    Grade,
    Message,
    grade,
    is_held_out_sum,
)
from limpid.data.conversations.phrasings import PHRASINGS, Phrasings

__all__ = [
    "ADMISSION",
    "ASKED_OF_NAMES",
    "EVALUATIONS",
    "FAKE_NAMES",
    "MIXTURE",
    "PHRASINGS",
    "RL_MIXTURE",
    "Conversation",
    "Dialogues",
    "Grade",
    "Message",
    "Phrasings",
    "grade",
    "is_held_out_sum",
]
