"""How much better than expected an answer (or a token of it) was."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Baseline = Literal["group", "leave_one_out", "batch", "none"]
EPSILON = 1e-4
"""Added to a deviation before dividing by it: equal rewards give advantages of 0, not of 0/0."""


def advantages_of(rewards: Tensor, baseline: Baseline, *, divide_std: bool = False) -> Tensor:
    """The advantages of answers to several prompts, (P, G) -> (P, G). NaN marks an answer that has no reward: it is
    left out of every mean, and its advantage is NaN.

    baseline: ``group``, the mean of the prompt's own answers (GRPO: Shao et al. 2024, section 4.1); ``leave_one_out``,
    that of the prompt's other answers (RLOO: Kool et al. 2019; Ahmadian et al. 2024, equation 8); ``batch``, that of
    all other answers of the step (REINFORCE with a baseline: Williams 1992); ``none``: the reward itself.
    divide_std: divide by the deviation (over n - 1) of the group, of the batch for ``batch`` and ``none``. This favours
    prompts that are easy or hard (Liu et al. 2025, section 3.1).

    An answer that stands alone has nothing to be compared with: its advantage is 0, but for ``none``.
    """
    there = ~rewards.isnan()
    filled = rewards.nan_to_num(0.0).double()  # equal rewards must differ from their mean by nothing
    dims = (1,) if baseline in ("group", "leave_one_out") else (0, 1)
    count = there.sum(dims, keepdim=True)
    total = filled.sum(dims, keepdim=True)
    mean = total / count.clamp(min=1)
    if baseline == "none":
        advantages = filled
    elif baseline == "group":
        advantages = filled - mean
    else:
        advantages = torch.where(count > 1, filled - (total - filled) / (count - 1).clamp(min=1), 0.0)
    if divide_std:
        squares = torch.where(there, filled - mean, 0.0).square().sum(dims, keepdim=True)
        advantages = advantages / ((squares / (count - 1).clamp(min=1)).sqrt() + EPSILON)
    return advantages.masked_fill(~there, torch.nan).to(rewards.dtype)


def generalised_advantages(
    rewards: Tensor, values: Tensor, spoken: Tensor, *, discount: float, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Advantages and returns of every token (Schulman et al. 2016, equations 11 and 16: GAE).

    ``delta_t = r_t + discount V_{t+1} - V_t``, ``A_t = sum_l (discount smoothing)^l delta_{t+l}``; after an answer's
    last token there is nothing, V = 0. Returns, what the value model should have said, are ``A_t + V_t``.

    Args:
        rewards, values: (B, T), of the tokens that ``spoken`` (B, T) marks: in each row one stretch of places.
    """
    advantages = torch.zeros_like(values)
    ahead = torch.zeros(len(values), device=values.device)
    next_value = torch.zeros_like(ahead)
    for t in range(values.shape[1] - 1, -1, -1):
        here = spoken[:, t].float()
        delta = rewards[:, t] + discount * next_value - values[:, t]
        ahead = here * (delta + discount * smoothing * ahead)
        next_value = here * values[:, t]
        advantages[:, t] = ahead
    return advantages, (advantages + values) * spoken


def whitened(values: Tensor, spoken: Tensor) -> Tensor:
    """``values`` (B, T) with mean 0 and deviation 1 over the places that ``spoken`` marks; 0 elsewhere.

    Of values that are all the same nothing but their mean is taken.
    """
    chosen = values[spoken]
    if not len(chosen):
        return torch.zeros_like(values)
    return (values - chosen.mean()) / (chosen.std(correction=0) + 1e-8) * spoken


def explained_variance(values: Tensor, returns: Tensor, spoken: Tensor) -> float:
    """``1 - Var(returns - values) / Var(returns)``: 1 for a value model that knows, 0 for one that says the mean."""
    target, error = returns[spoken], (returns - values)[spoken]
    variance = float(target.var(correction=0)) if len(target) else 0.0
    return 1 - float(error.var(correction=0)) / variance if variance > 0 else 0.0
