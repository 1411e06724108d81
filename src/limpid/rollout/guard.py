"""A policy that has found a way to please its reward shows it first in its distance from where it began, and in the
length of its answers: the guard ends such a run."""

from __future__ import annotations

from typing import NamedTuple

from limpid.core.errors import LimpidError


class Guard(NamedTuple):
    """max_kl: nats a token from the reference. length_bounds: of the mean answer, in tokens; None: any. where: the
    recipe's section."""

    where: str
    max_kl: float
    length_bounds: tuple[float, float] | None = None

    def check(self, rollout: int, kl: float, length: float) -> None:
        """Raise LimpidError, which says what has left its bounds, before a rollout is learnt from."""
        if not kl <= self.max_kl:
            raise LimpidError(
                f"rollout {rollout}: the policy is {kl:.2f} nats a token from the model it started from, past "
                f"{self.where}.max_kl = {self.max_kl:g}; raise {self.where}.kl or lower {self.where}.lr."
            )
        if self.length_bounds is not None:
            low, high = self.length_bounds
            if not low <= length <= high:
                raise LimpidError(
                    f"rollout {rollout}: answers have {length:.1f} tokens on average, outside of "
                    f"{self.where}.length_bounds = [{low:g}, {high:g}]; look at samples.jsonl: is the reward being "
                    "pleased by length alone?"
                )
