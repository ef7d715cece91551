"""Schedules: the learning rate as a function of the step.

A schedule is any function (step, steps) -> learning rate, where step runs from 0 to steps - 1.
Those here are values: they print, compare, copy and pickle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from backhand.arguments import keep_plain

Schedule: TypeAlias = Callable[[int, int], float]


class _Kept:
    """What all share: numbers kept as Python's own, so that rates are computed in float64."""

    def __post_init__(self) -> None:
        keep_plain(self)


@dataclass(frozen=True)
class constant(_Kept):
    """The same rate at every step."""

    rate: float

    def __call__(self, step: int, steps: int) -> float:
        return self.rate


@dataclass(frozen=True)
class cosine(_Kept):
    """From `rate` down to `end` along half a cosine.

    rate(s) = end + (rate - end) (1 + cos(π s / steps)) / 2.
    Loshchilov & Hutter, "SGDR" (2017), eq. 5, without restarts.

    Args:
        rate: at the beginning.
        end: what the rate falls towards; default 0.
        warmup: the share of all steps, in [0, 1), in which the rate first rises linearly.
    """

    rate: float
    end: float = 0.0
    warmup: float = 0.0

    def __call__(self, step: int, steps: int) -> float:
        rising = self.warmup * steps
        if step < rising:
            return self.rate * (step + 1) / (rising + 1)
        share = (step - rising) / max(1.0, steps - rising)
        return self.end + (self.rate - self.end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class exponential(_Kept):
    """From `rate` to `end` by the same factor each step: rate · (end / rate)^(s / steps)."""

    rate: float
    end: float

    def __call__(self, step: int, steps: int) -> float:
        return float(self.rate * (self.end / self.rate) ** (step / steps))


@dataclass(frozen=True)
class stepwise(_Kept):
    """`rate`, multiplied by `factor` at each of the given shares of training (0.5, 0.75, …)."""

    rate: float
    factor: float
    at: tuple[float, ...]

    def __call__(self, step: int, steps: int) -> float:
        return float(self.rate * self.factor ** sum(step >= share * steps for share in self.at))


@dataclass(frozen=True)
class one_cycle(_Kept):
    """Up to `rate` along a cosine until the share `peak` of training, then down along another.

    Begins at rate / start and ends at rate / (start · end). Smith & Topin,
    "Super-Convergence" (2018), with cosines as in torch.optim.
    """

    rate: float
    peak: float = 0.3
    start: float = 25.0
    end: float = 1e4

    def __call__(self, step: int, steps: int) -> float:
        low, last = self.rate / self.start, self.rate / (self.start * self.end)
        share = step / steps
        if share < self.peak:
            return low + (self.rate - low) * (1 - math.cos(math.pi * share / self.peak)) / 2
        falling = (share - self.peak) / (1 - self.peak)
        return last + (self.rate - last) * (1 + math.cos(math.pi * falling)) / 2
