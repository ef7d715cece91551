"""Rates: the learning rate, epoch by epoch, as scikit-learn's names or a schedule ask for it."""

from __future__ import annotations

from backhand.training.rates import Scheduled
from backhand.training.schedules import Schedule

SMALLEST = 1e-6
"""Where "adaptive" gives up."""


class PerceptronRates:
    """The learning rate of each step; see training.rates.Rates.

    Args:
        kind: "constant"; "invscaling": initial / (rows seen + 1)^power; "adaptive": a fifth each
            time that training no longer improves, down to SMALLEST; or a schedule
            (step, steps) -> rate.
        initial: the first rate, where `kind` is a name.
        power: of "invscaling".
        steps: how many steps training takes if it runs to its end; for a schedule.
    """

    def __init__(self, kind: str | Schedule, initial: float, power: float, steps: int) -> None:
        self._kind = kind
        self._initial = initial
        self._power = power
        self._scheduled = None if isinstance(kind, str) else Scheduled(kind, steps)
        self._rate = initial
        self._rows = self._seen = 0

    def begin(self, rows: int, seen: int) -> None:
        """What "invscaling" counts: the rows of an epoch, and those seen by now."""
        self._rows, self._seen = rows, seen

    def of_epoch(self, steps: int) -> list[float]:
        """A rate for each of the epoch's steps."""
        if self._scheduled is not None:
            return self._scheduled.of_epoch(steps)
        rates = [self._rate] * steps
        self._seen += self._rows
        if self._kind == "invscaling":
            self._rate = self._initial / (self._seen + 1) ** self._power
        return rates

    def lower(self) -> float | None:
        """A lower rate to go on with, now that training no longer improves."""
        if self._kind != "adaptive" or self._rate <= SMALLEST:
            return None
        self._rate /= 5
        return self._rate
