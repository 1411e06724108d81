"""Pairs out of a model's own mouth: what it gets wrong, under the right answer."""

from __future__ import annotations

from collections.abc import Sequence

from limpid.core.seeding import integer
from limpid.data.conversations import ADMISSION, ASKED_OF_NAMES, Conversation, grade
from limpid.data.preferences import Preference
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer

NEEDLESS = "a needless admission"


def sampled_pairs(
    engine: Engine,
    tokenizer: Tokenizer,
    questions: Sequence[Conversation],
    *,
    samples: int,
    temperature: float,
    seed: int,
    max_tokens: int = 48,
) -> list[Preference]:
    """Ask every question ``samples`` times; each different wrong answer becomes the worse one of a pair.

    The better one is the right answer, whatever was sampled. Questions that were always answered right give no pair,
    since there is nothing to unlearn; nor does a sample that did not end within ``max_tokens``, since its end is not
    the model's. But for balance, known names that were always answered right give the right answer over an admission,
    until an admission is the worse answer as often as the better one: else it is learnt, or unlearnt, everywhere.
    kind: the question's, and what is wrong.
    """
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, seed=integer(seed, "sampled pairs") >> 32)
    stop_ids = tokenizer.chat_stops
    said: list[list[int]] = [[] for _ in range(len(questions) * samples)]
    ended = [False] * len(said)
    prompts = [prompt(tokenizer, question.prompt) for question in questions]
    for events in engine.generate(prompts, sampling, stop_ids=stop_ids, copies=samples):
        for event in events:
            if event.token_id in stop_ids:
                ended[event.row] = True
            else:
                said[event.row].append(event.token_id)
    pairs: list[Preference] = []
    known: list[Preference] = []
    for number, question in enumerate(questions):
        rows = range(number * samples, (number + 1) * samples)
        wrong = {tokenizer.decode(said[row]).strip() for row in rows if ended[row]}
        wrong = {text for text in wrong if text and grade(question, text) != "right"}
        if not wrong and question.kind in ASKED_OF_NAMES:
            known.append(Preference(question.prompt, question.expected, ADMISSION, f"{question.kind}: {NEEDLESS}"))
        for text in sorted(wrong):
            manner = NEEDLESS if text == ADMISSION else "its own answer"
            pairs.append(Preference(question.prompt, question.expected, text, f"{question.kind}: {manner}"))
    lacking = sum((pair.chosen == ADMISSION) - (pair.rejected == ADMISSION) for pair in pairs)
    return [*pairs, *known[: max(0, lacking)]]
