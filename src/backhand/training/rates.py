"""Rates: where the loop gets the learning rate of each step from."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

from backhand.arguments import shown
from backhand.training.schedules import Schedule


@runtime_checkable
class Rates(Protocol):
    """A source of learning rates, asked epoch by epoch."""

    def of_epoch(self, steps: int) -> list[float]:
        """The rate of each step of the next epoch."""
        ...

    def lower(self) -> float | None:
        """Training no longer improves: a lower rate to go on with, or None to end it."""
        ...


class Scheduled:
    """The rates of a schedule, which knows beforehand how many steps there will be.

    Args:
        schedule: (step, steps) -> rate.
        steps: how many steps training takes if it runs to its end; beyond it, the last rate.
    """

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.schedule = schedule
        self.steps = steps
        self.taken = 0

    def of_epoch(self, steps: int) -> list[float]:
        """See Rates.

        Raises:
            TypeError: the schedule gave no number.
            ValueError: the schedule gave a rate that is negative or no finite number.
        """
        first, self.taken = self.taken, self.taken + steps
        return [self._rate(min(step, self.steps - 1)) for step in range(first, first + steps)]

    def lower(self) -> None:
        """None: a schedule goes its own way."""

    def _rate(self, step: int) -> float:
        given = self.schedule(step, self.steps)
        try:
            rate = float(given)
        except (TypeError, ValueError):
            raise TypeError(
                f"learning rate: the schedule gave {shown(given)} at step {step}; expected a number"
            ) from None
        if not 0 <= rate < math.inf:
            raise ValueError(
                f"learning rate: the schedule gave {rate} at step {step}; "
                "expected a finite number of 0 or more"
            )
        return rate
