"""Answers drawn by the engine, with the probabilities they were drawn with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling


class Drawn(NamedTuple):
    """ids: the tokens of an answer, the one that ended it included. logprobs: of each, the natural log of the
    probability it was drawn with: at the temperature of the draws. finished: it ended by itself."""

    ids: list[int]
    logprobs: list[float]
    finished: bool


def draw(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stop_ids: Collection[int],
    samples: int,
    first: int = 0,
) -> list[Drawn]:
    """``samples`` answers to each prompt, side by side in one list. A prompt is read once, its other answers take over
    what the first one's row holds.

    first: the number of the first prompt among those of all processes; answer j of prompt i draws its random numbers
    from (sampling.seed, i * samples + j), whoever draws it and whatever runs beside it.

    Raises:
        LimpidError: a prompt is empty, or leaves no room in the context.
    """
    asked = [
        engine.submit(prompt, sampling, stop_ids=stop_ids, row=(first + number) * samples + copy)
        for number, prompt in enumerate(prompts)
        for copy in range(samples)
    ]
    logprobs: dict[int, list[float]] = {request.row: [] for request in asked}
    finished: set[int] = set()
    try:
        while engine.busy:
            for event in engine.step():
                row = event.request.row
                logprobs[row].append(event.sampled_logprob)
                if event.finish == "stop":
                    finished.add(row)
    finally:
        for request in asked:
            engine.cancel(request)
    return [Drawn(request.said, logprobs[request.row], request.row in finished) for request in asked]
