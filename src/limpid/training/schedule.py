"""Learning-rate schedules: the factor on the base rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from limpid.core.recipe import Section

Fraction = Annotated[float, Field(ge=0, le=1)]


class ScheduleSection(Section):
    """The factor on all learning rates, step by step.

    kind: what follows the warm-up: ``stable`` (constant, then linear to the floor; Hu et al. 2024), ``cosine``
    (Loshchilov 2017) or ``inverse_sqrt`` (Vaswani et al. 2017, equation 3: falling as 1/sqrt(step), whatever the length
    of the run). warmup_steps: steps of the linear rise from 1/warmup_steps. decay: share of all steps in the final fall
    of the stable kind. floor: the factor at the end, which inverse_sqrt only comes near. The 2017 paper's rates:
    inverse_sqrt with optim.lr = (d_model warmup_steps)^-1/2.
    """

    kind: Literal["stable", "cosine", "inverse_sqrt"] = "stable"
    warmup_steps: Annotated[int, Field(ge=0)] = 40
    decay: Fraction = 0.65
    floor: Fraction = 0.0


def factor(section: ScheduleSection, steps: int) -> Callable[[int], float]:
    """step (0-based) -> factor in (0, 1], for a run of ``steps``."""
    fall_from = steps - section.decay * steps

    def at(step: int) -> float:
        warm = min(1.0, (step + 1) / section.warmup_steps) if section.warmup_steps else 1.0
        if section.kind == "cosine":
            span = max(1, steps - section.warmup_steps)
            passed = min(1.0, max(0, step - section.warmup_steps) / span)
            shape = (1 + math.cos(math.pi * passed)) / 2
        elif section.kind == "inverse_sqrt":
            shape = min(1.0, math.sqrt(max(1, section.warmup_steps) / (step + 1)))
        else:
            left = steps - step
            shape = 1.0 if step < fall_from else left / max(1.0, steps - fall_from)
        return warm * (section.floor + (1 - section.floor) * shape)

    return at
