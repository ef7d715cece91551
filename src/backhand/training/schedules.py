"""Schedules: the learning rate as a function of the step.

A schedule is any function (step, steps) -> learning rate, where step runs from 0 to steps - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int, int], float]


def constant(rate: float) -> Schedule:
    """The same rate at every step."""
    return lambda step, steps: rate


def cosine(rate: float, end: float = 0.0, warmup: float = 0.0) -> Schedule:
    """From `rate` down to `end` along half a cosine.

    rate(s) = end + (rate - end) (1 + cos(π s / steps)) / 2.
    Loshchilov & Hutter, "SGDR" (2017), eq. 5, without restarts.

    Args:
        rate: at the beginning.
        end: what the rate falls towards; default 0.
        warmup: the share of all steps, in [0, 1), in which the rate first rises linearly.
    """

    def at(step: int, steps: int) -> float:
        rising = warmup * steps
        if step < rising:
            return rate * (step + 1) / (rising + 1)
        share = (step - rising) / max(1.0, steps - rising)
        return end + (rate - end) * (1 + math.cos(math.pi * share)) / 2

    return at


def exponential(rate: float, end: float) -> Schedule:
    """From `rate` to `end` by the same factor each step: rate · (end / rate)^(s / steps)."""
    return lambda step, steps: rate * (end / rate) ** (step / steps)


def stepwise(rate: float, factor: float, at: tuple[float, ...]) -> Schedule:
    """`rate`, multiplied by `factor` at each of the given shares of training (0.5, 0.75, …)."""

    def rate_at(step: int, steps: int) -> float:
        return rate * factor ** sum(step >= share * steps for share in at)

    return rate_at


def one_cycle(rate: float, peak: float = 0.3, start: float = 25.0, end: float = 1e4) -> Schedule:
    """Up to `rate` along a cosine until the share `peak` of training, then down along another.

    Begins at rate / start and ends at rate / (start · end). Smith & Topin,
    "Super-Convergence" (2018), with cosines as in torch.optim.
    """
    low, last = rate / start, rate / (start * end)

    def at(step: int, steps: int) -> float:
        share = step / steps
        if share < peak:
            return low + (rate - low) * (1 - math.cos(math.pi * share / peak)) / 2
        return last + (rate - last) * (1 + math.cos(math.pi * (share - peak) / (1 - peak))) / 2

    return at
