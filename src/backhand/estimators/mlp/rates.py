"""Rates: the learning rate, epoch by epoch, as scikit-learn's names or a schedule ask for it."""

from __future__ import annotations

from backhand.training.schedules import Schedule

SMALLEST = 1e-6
"""Where "adaptive" gives up."""


class Rates:
    """The learning rate of each step.

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
        self._steps = steps
        self._taken = 0
        self.rate = initial if isinstance(kind, str) else float(kind(0, steps))
        """Of the next step, or the last one taken under a schedule."""

    def of_epoch(self, steps: int) -> list[float]:
        """One rate for each of the epoch's steps."""
        if isinstance(self._kind, str):
            return [self.rate] * steps
        first, self._taken = self._taken, self._taken + steps
        last = self._steps - 1  # partial_fit may go on for ever
        rates = [
            float(self._kind(min(step, last), self._steps)) for step in range(first, first + steps)
        ]
        self.rate = rates[-1]
        return rates

    def epoch_ended(self, rows_seen: int) -> None:
        """What "invscaling" counts."""
        if self._kind == "invscaling":
            self.rate = self._initial / (rows_seen + 1) ** self._power

    def lower(self) -> bool:
        """Whether there is a lower rate to go on with, now that training no longer improves."""
        if self._kind != "adaptive" or self.rate <= SMALLEST:
            return False
        self.rate /= 5
        return True
