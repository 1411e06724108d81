"""The pairs of answers that ``reward`` and ``dpo`` learn from, and those they are measured on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.logging import json_lines
from limpid.core.paths import atomic_write_text
from limpid.data.document import Split
from limpid.data.preference_batches import EncodedPreferences, encode_preferences
from limpid.data.preferences import Preference, held_out_prompts, preference_splits, prompt_key
from limpid.inference.engine import Engine
from limpid.rollout.sampled_pairs import sampled_pairs
from limpid.stages.preference_recipe import PairsSection, RewardSection
from limpid.stages.questions import dialogues
from limpid.text.tokenizer import Tokenizer

LOOKS = 400
"""Pairs of the validation split that are scored at every look."""
OWN, FEWEST = "own answers", 20
"""The kind of held-out pairs that are made of the model's own answers, a tenth of them where there are so many."""
SAMPLED = "sampled.jsonl"
"""Where a run keeps the pairs made of its model's own answers, to be read and to be found again."""


class Pairs(NamedTuple):
    """Encoded pairs by split, and what the user should know of those left out."""

    train: EncodedPreferences
    validation: EncodedPreferences
    test: EncodedPreferences
    note: str


def load_pairs(
    section: PairsSection,
    seed: int,
    tokenizer: Tokenizer,
    context: int,
    folder: Path,
    engine: Callable[[], Engine],
) -> Pairs:
    """The pairs of ``section.path``, and those of the model's own answers (see `sampled_pairs`) where it asks for them.

    engine: makes one of the model that is to answer; not called where nothing is sampled, or it was before.

    Raises:
        LimpidError: as `preference_splits`; or no pair of a split fits the context.
    """
    left_out: Counter[str] = Counter()
    key = "reward.path" if isinstance(section, RewardSection) else "dpo.path"
    embedded = section.path == "python-docs"
    if embedded and not section.pairs + section.sampled:
        raise LimpidError(f"there are no pairs to learn from: {key.removesuffix('path')}pairs and sampled are both 0.")
    if embedded:
        stream = dialogues(seed)
        splits: dict[Split, list[Preference]] = {
            "train": [
                stream.preferences(i, "train") for i in range(section.first_pair, section.first_pair + section.pairs)
            ],
            "validation": [stream.preferences(i, "validation") for i in range(LOOKS)],
            "test": [stream.preferences(i, "test") for i in range(section.test_pairs)],
        }
    else:
        splits, left_out = preference_splits(section.path, key)
    notes = [f"{count} pairs left out ({reason})" for reason, count in sorted(left_out.items())]
    if section.sampled and embedded:
        found = _sampled(section, seed, tokenizer, folder, engine)
        own, held_out = held_out_prompts(found, section.path, 1) if len(found) >= FEWEST else (found, [])
        asked = {prompt_key(pair) for pair in held_out}
        kept = [pair for pair in splits["train"] if prompt_key(pair) not in asked]
        if left := len(splits["train"]) - len(kept):
            notes.append(f"{left} pairs left out (their prompt is held out with the model's own answers)")
        splits["train"] = [*kept, *own]
        splits["test"] = [*splits["test"], *(pair._replace(kind=f"{OWN}: {pair.kind}") for pair in held_out)]
        notes.append(f"{len(found)} pairs made of the model's own answers to {section.sampled} questions")
    encoded = {split: encode_preferences(pairs, tokenizer, context) for split, pairs in splits.items()}
    if too_long := sum(each.too_long for each in encoded.values()):
        notes.append(f"{too_long} pairs left out (longer than model.context = {context})")
    return Pairs(encoded["train"], encoded["validation"], encoded["test"], "; ".join(notes))


def first(pairs: EncodedPreferences, count: int) -> EncodedPreferences:
    """The first ``count`` pairs."""
    return EncodedPreferences(pairs.pairs[:count], pairs.chosen[:count], pairs.rejected[:count], 0)


def _sampled(
    section: PairsSection, seed: int, tokenizer: Tokenizer, folder: Path, engine: Callable[[], Engine]
) -> list[Preference]:
    kept = folder / SAMPLED
    if kept.exists() and store.steps_of(folder):  # else it may be of another recipe, cut short before its first save
        return [Preference(**json.loads(line)) for line in json_lines(kept.read_text(encoding="utf-8"))]
    questions = [dialogues(seed).rl_prompts(i) for i in range(section.sampled)]
    found = sampled_pairs(
        engine(), tokenizer, questions, samples=section.samples, temperature=section.temperature, seed=seed
    )
    atomic_write_text(kept, "".join(json.dumps(p._asdict(), ensure_ascii=False) + "\n" for p in found))
    return found


def kinds_of(pairs: Iterable[Preference]) -> list[str]:
    """What each pair is about: its ``kind`` up to a colon."""
    return [pair.kind.partition(":")[0] or "unnamed" for pair in pairs]
